"""The four use cases as Python pipelines: pandas, scikit-learn and LightGBM on the rows and features of Ratchet's DAGs.

    python training_pipelines.py lfb|delivery|housing|weather DATA

Prints the metrics on the holdout as JSON.
"""

import json
import os
import pathlib
import sys
import tempfile

import joblib
import lightgbm
import numpy
import pandas
from sklearn import linear_model, metrics, tree

THREADS = os.cpu_count() or 1
DAY = 86_400
FOLDS = 5


# What the pipelines have in common


def seconds(times):
    return ((times - pandas.Timestamp("1970-01-01")) // pandas.Timedelta(seconds=1)).astype("int64")


def check(condition, message):
    if not condition:
        sys.exit(f"the gate refuses: {message}")


def boosting(objective, trees, leaves, learning_rate=0.05, depth=8, leaf_weight=10.0, row_share=0.8, feature_share=0.7, l2=1.0):
    return lightgbm.LGBMModel(
        objective=objective, n_estimators=trees, num_leaves=leaves, learning_rate=learning_rate, max_depth=depth,
        min_sum_hessian_in_leaf=leaf_weight, min_data_in_leaf=1, reg_lambda=l2, subsample=row_share, subsample_freq=1,
        colsample_bytree=feature_share, n_jobs=THREADS, random_state=7, verbose=-1, deterministic=True, force_row_wise=True,
    )  # fmt: skip


class TargetMeans:
    """Mean of the target per category, twenty rows of the overall mean mixed in; out of fold on the training rows."""

    def __init__(self, columns):
        self.columns = columns

    @staticmethod
    def key(frame, column):
        key = frame[column[0]].astype(str)
        for name in column[1:]:
            key = key + "\x1f" + frame[name].astype(str)
        return key

    @staticmethod
    def means(keys, target):
        prior = target.mean()
        grouped = target.groupby(keys).agg(["sum", "count"])
        return prior, (grouped["sum"] + 20 * prior) / (grouped["count"] + 20)

    def fit(self, frame, target, folds):
        self.fitted, made = [], {}
        for column in self.columns:
            keys = self.key(frame, column)
            self.fitted.append(self.means(keys, target))
            values = numpy.empty(len(frame))
            for fold in range(FOLDS):
                inside = folds == fold
                prior, means = self.means(keys[~inside], target[~inside])
                values[inside] = keys[inside].map(means).fillna(prior)
            made["mean of " + " and ".join(column)] = values
        return pandas.DataFrame(made, index=frame.index)

    def transform(self, frame):
        made = {}
        for column, (prior, means) in zip(self.columns, self.fitted):
            made["mean of " + " and ".join(column)] = self.key(frame, column).map(means).fillna(prior)
        return pandas.DataFrame(made, index=frame.index)


class Features:
    """Plain features of a frame, and target means beside them where there are any."""

    def __init__(self, plain, means=()):
        self.plain = plain
        self.means = TargetMeans(means)

    def fit(self, frame, target, folds):
        return pandas.concat([self.plain(frame), self.means.fit(frame, target, folds)], axis=1)

    def transform(self, frame):
        return pandas.concat([self.plain(frame), self.means.transform(frame)], axis=1)


def filled(features):
    return features.fillna(features.mean()).fillna(0.0)


class Regression:
    metric = "mae"

    def __init__(self, forward, backward, reweight=0, **settings):
        self.forward, self.backward, self.reweight, self.settings = forward, backward, reweight, settings

    def candidates(self):
        return ["linear", "tree", "boosting"]

    def fit(self, name, features, truth):
        target = self.forward(truth)
        if name == "linear":
            model = linear_model.LinearRegression().fit(filled(features), target)
            return lambda given: self.backward(model.predict(filled(given)))
        if name == "tree":
            model = tree.DecisionTreeRegressor(max_depth=9, min_samples_leaf=30, random_state=7).fit(features, target)
            return lambda given: self.backward(model.predict(given))
        weights = numpy.ones(len(truth))
        for again in range(self.reweight + 1):
            model = boosting("regression", **self.settings).fit(features, target, sample_weight=weights)
            if again < self.reweight:
                residuals = numpy.abs(truth - self.backward(model.predict(features)))
                weights = 1 / numpy.maximum(residuals, 0.5 * residuals.mean())
                weights *= len(weights) / weights.sum()
        return lambda given: self.backward(model.predict(given))

    def loss(self, answers, truth):
        return numpy.abs(answers - truth)

    def mean(self, truth):
        return truth.mean()

    def measure(self, answers, truth):
        return {"mae": metrics.mean_absolute_error(truth, answers), "r2": metrics.r2_score(truth, answers)}


class Binary:
    def __init__(self, **settings):
        self.settings = settings

    def candidates(self):
        return ["linear", "tree", "boosting"]

    def fit(self, name, features, truth):
        if name == "linear":
            standard = lambda given: (filled(given) - features.mean()) / features.std().replace(0, 1)
            model = linear_model.LogisticRegression(max_iter=200).fit(standard(features), truth)
            return lambda given: model.predict_proba(standard(given))[:, 1]
        if name == "tree":
            model = tree.DecisionTreeClassifier(max_depth=6, min_samples_leaf=30, random_state=7).fit(features, truth)
            return lambda given: model.predict_proba(given)[:, 1]
        model = boosting("binary", **self.settings).fit(features, truth)
        return model.predict

    def loss(self, answers, truth):
        return (answers - truth) ** 2

    def mean(self, truth):
        return truth.mean()

    def measure(self, answers, truth):
        return {"auc": metrics.roc_auc_score(truth, answers)}


class Cuts(Binary):
    """Ordered classes: one question per cut."""

    def fit(self, name, features, truth):
        fitted = [super(Cuts, self).fit(name, features, (truth > cut).astype(float)) for cut in (1, 2, 3, 4)]

        def answer(given):
            above = numpy.minimum.accumulate(numpy.column_stack([one(given) for one in fitted]), axis=1)
            ones = numpy.ones((len(above), 1))
            return numpy.hstack([ones, above]) - numpy.hstack([above, ones * 0])

        return answer

    def loss(self, answers, truth):
        happened = numpy.asarray(truth)[:, None] <= numpy.arange(1, 6)
        return ((answers.cumsum(axis=1) - happened) ** 2).sum(axis=1)

    def mean(self, truth):
        return numpy.array([[(truth == number).mean() for number in range(1, 6)]])

    def measure(self, answers, truth):
        return {"ranked_probability_score": self.loss(answers, truth).mean()}


def gained(losses, others, blocks):
    """Bounds of the mean gain by a bootstrap of blocks."""
    grouped = pandas.DataFrame({"gain": others - losses, "block": blocks}).groupby("block")["gain"].agg(["sum", "count"])
    random = numpy.random.default_rng(7)
    drawn = random.integers(0, len(grouped), (2000, len(grouped)))
    means = grouped["sum"].to_numpy()[drawn].sum(axis=1) / grouped["count"].to_numpy()[drawn].sum(axis=1)
    return numpy.quantile(means, [0.025, 0.975])


def train(kind, frame, truth, value, features, parts, folds, blocks):
    """Chooses a candidate on the validation rows, fits it again, and judges it on the holdout."""
    fit, validation, holdout = parts
    made = features.fit(frame[fit], value[fit], folds[fit])
    seen = features.transform(frame[validation])
    losses = {}
    for name in kind.candidates():
        losses[name] = kind.loss(kind.fit(name, made, truth[fit])(seen), truth[validation]).mean()
    chosen = min(losses, key=losses.get)
    training = fit | validation
    model = kind.fit(chosen, features.fit(frame[training], value[training], folds[training]), truth[training])
    answers = model(features.transform(frame[holdout]))
    bounds = gained(
        numpy.asarray(kind.loss(answers, truth[holdout])),
        numpy.asarray(kind.loss(kind.mean(truth[training]), truth[holdout])),
        blocks[holdout],
    )
    found = {name: float(number) for name, number in kind.measure(answers, truth[holdout]).items()}
    return found | {"rows": int(holdout.sum()), "promoted": bool(bounds[0] > 0), "chosen": chosen}


def save(directory, name, frame):
    frame.to_parquet(pathlib.Path(directory) / f"{name}.parquet")


def calendar(times, *parts):
    hour = times.dt.hour
    known = {
        "hour": hour,
        "hour_sin": numpy.sin(2 * numpy.pi * hour / 24),
        "hour_cos": numpy.cos(2 * numpy.pi * hour / 24),
        "weekday": times.dt.day_of_week,
        "hour_of_week": times.dt.day_of_week * 24 + hour,
        "day_of_year": times.dt.day_of_year,
    }
    return {part: known[part] for part in parts}


def one_hot(values, most=20):
    return {f"{values.name}={value}": (values == value).astype(float) for value in values.value_counts().index[:most]}


# The use cases


def lfb(data, directory):
    records = pandas.read_csv(data / "lfb_incidents_2017_jan_apr.csv.gz", low_memory=False)
    save(directory, "incidents", records.astype({name: str for name in records.select_dtypes(["object", "str"])}))
    check(len(records) >= 5000, "rows")
    check(records["IncidentNumber"].is_unique, "incident numbers")
    check(records["FirstPumpArriving_AttendanceTime"].isna().mean() <= 0.15, "attendance times")
    check(records["Easting_rounded"].between(490_000, 575_000).mean() >= 0.99, "eastings")
    for name in records.select_dtypes(["object", "str"]):
        records[name] = records[name].str.strip()
    records["time"] = pandas.to_datetime(records["TimestampOfCall"], format="ISO8601")
    stations = pandas.read_csv(data / "lfb_stations.csv", sep=";").set_index("Station name")

    parts = []
    for order, number in enumerate(["First", "Second"], start=1):
        part = records.rename(
            columns={
                f"{number}PumpArriving_DeployedFromStation": "DeployedFromStation",
                f"{number}PumpArriving_AttendanceTime": "AttendanceSeconds",
            }
        ).assign(PumpOrder=order)
        parts.append(part.dropna(subset=["DeployedFromStation", "AttendanceSeconds"]))
    vehicles = pandas.concat(parts).sort_values(["time", "IncidentNumber", "PumpOrder"]).reset_index(drop=True)
    save(directory, "vehicles", vehicles[["IncidentNumber", "time", "PumpOrder", "DeployedFromStation", "AttendanceSeconds"]])

    def plain(frame):
        made = calendar(frame["time"], "hour", "hour_sin", "hour_cos", "weekday", "hour_of_week")
        for name in ["Easting_rounded", "Northing_rounded", "PumpOrder"]:
            made[name] = frame[name]
        made["dx"] = frame["Easting_rounded"] - frame["DeployedFromStation"].map(stations["Easting"])
        made["dy"] = frame["Northing_rounded"] - frame["DeployedFromStation"].map(stations["Northing"])
        made["distance"] = numpy.hypot(made["dx"], made["dy"])
        made["same"] = (frame["IncidentStationGround"] == frame["DeployedFromStation"]).astype(float)
        made |= {name: values[frame.index] for name, values in hot.items()}
        made |= {f"share of {name}": frame[name].map(shares) for name, shares in frequent.items()}
        return pandas.DataFrame(made)

    categories = [["PropertyCategory"], ["PropertyType"], ["IncGeo_BoroughName"], ["IncGeo_WardCode"], ["IncidentStationGround"]]
    sent = [["DeployedFromStation"], ["IncidentStationGround", "DeployedFromStation"], ["PropertyType", "PumpOrder"]]
    sent += [["DeployedFromStation", "PumpOrder"], ["IncidentStationGround", "DeployedFromStation", "PumpOrder"]]
    sent += [["IncGeo_WardCode", "DeployedFromStation", "PumpOrder"]]
    hot = one_hot(vehicles["PropertyCategory"])
    frequent = {name: vehicles[name].value_counts(normalize=True) for name in ["PropertyType", "IncGeo_WardCode", "DeployedFromStation"]}
    features = lambda: Features(plain, categories + sent)
    days = (seconds(vehicles["time"]) // DAY).to_numpy()
    cut = cut_by_time(vehicles["time"], "2017-04-01", "2017-05-01", 21)
    value = vehicles["AttendanceSeconds"].astype(float)
    square = lambda score: numpy.maximum(score, 0) ** 2
    time = Regression(numpy.sqrt, square, reweight=1, trees=500, leaves=31)
    over = Binary(trees=420, learning_rate=0.015, leaves=42, row_share=0.7, feature_share=0.46, leaf_weight=10, l2=2.3)
    found = {
        "lfb-response-time": train(time, vehicles, value, value, features(), cut, days % FOLDS, days),
        "lfb-over-target": train(over, vehicles, (value > 360).astype(float), value, features(), cut, days % FOLDS, days),
    }

    calls = records.dropna(subset=["NumPumpsAttending"]).sort_values(["time", "IncidentNumber"]).reset_index(drop=True)
    save(directory, "calls", calls[["IncidentNumber", "time", "NumPumpsAttending"]])
    frequent = calls["PropertyType"].value_counts(normalize=True)

    def plain_calls(frame):
        made = calendar(frame["time"], "hour", "hour_sin", "hour_cos", "weekday", "hour_of_week")
        made |= {name: frame[name] for name in ["Easting_rounded", "Northing_rounded"]}
        made |= {f"is {kind}": (frame["PropertyCategory"] == kind).astype(float) for kind in calls["PropertyCategory"].unique()}
        made["frequency"] = frame["PropertyType"].map(frequent)
        return pandas.DataFrame(made)

    pumps = calls["NumPumpsAttending"].clip(1, 5).astype(float)
    days = (seconds(calls["time"]) // DAY).to_numpy()
    cut = cut_by_time(calls["time"], "2017-04-01", "2017-05-01", 21)
    kind = Cuts(trees=150, leaves=15, leaf_weight=2.5)
    found["lfb-pumps"] = train(kind, calls, pumps, pumps, Features(plain_calls, categories), cut, days % FOLDS, days)
    return found


def cut_by_time(times, until, holdout_until, validation_days):
    until, end = pandas.Timestamp(until), pandas.Timestamp(holdout_until)
    fit_until = until - pandas.Timedelta(days=validation_days)
    fit = (times < fit_until).to_numpy()
    return fit, ((times < until) & ~fit).to_numpy(), ((times >= until) & (times < end)).to_numpy()


def key_bytes(values):
    """The bytes of each value of a key, and how many of them count."""
    missing = values.isna().to_numpy()
    if pandas.api.types.is_numeric_dtype(values):
        tagged = numpy.full((len(values), 9), 2, numpy.uint8)
        tagged[:, 1:] = (values.to_numpy(numpy.float64) + 0.0).view(numpy.uint8).reshape(-1, 8)
        lengths = numpy.full(len(values), 9)
    else:
        texts = numpy.array([b"\x01" + text.strip().encode() for text in values.fillna("")])
        lengths = numpy.char.str_len(texts) + 1
        tagged = texts.astype(f"S{texts.itemsize + 1}").view(numpy.uint8).reshape(len(values), -1).copy()
    tagged[missing] = 0
    lengths[missing] = 1
    return tagged, lengths


def places(frame, key):
    """Ratchet's place of each row on a line of a million: FNV-1a over the key, finished by the mixer of splitmix64."""
    hashes = numpy.full(len(frame), 0xCBF29CE484222325, numpy.uint64)
    for name in key:
        tagged, lengths = key_bytes(frame[name])
        for position in range(tagged.shape[1]):
            hashed = (hashes ^ tagged[:, position]) * numpy.uint64(0x100000001B3)
            hashes = numpy.where(position < lengths, hashed, hashes)
    hashes = (hashes ^ (hashes >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> numpy.uint64(31)
    low = (hashes & numpy.uint64(0xFFFFFFFF)) * numpy.uint64(1_000_000) >> numpy.uint64(32)
    return ((hashes >> numpy.uint64(32)) * numpy.uint64(1_000_000) + low >> numpy.uint64(32)).astype(numpy.int64)


def cut_by_hash(frame, key, holdout, validation):
    """Rows of one key stay together."""
    place = places(frame, key)
    fit = place < round((1 - holdout - validation) * 1e6)
    before = place < round((1 - holdout) * 1e6)
    return (fit, before & ~fit, ~before), place % FOLDS


def delivery(data, directory):
    frame = pandas.read_csv(data / "food_delivery.csv.gz", dtype={"ID": str})
    save(directory, "deliveries", frame)
    for name in frame.select_dtypes(["object", "str"]):
        frame[name] = frame[name].str.strip()
    check(len(frame) >= 5000, "rows")
    check(frame["Time_taken(min)"].between(1, 180).mean() >= 0.999, "durations")
    check(frame["Delivery_person_Ratings"].between(1, 5).mean() >= 0.99, "ratings")
    frame["city"] = frame["Delivery_person_ID"].str.extract("([A-Z]+)RES", expand=False)
    hot = one_hot(frame["Type_of_vehicle"]) | one_hot(frame["Type_of_order"])

    def plain(given):
        radians = {name: numpy.radians(given[name]) for name in given if name.endswith(("latitude", "longitude"))}
        up = radians["Delivery_location_latitude"] - radians["Restaurant_latitude"]
        along = radians["Delivery_location_longitude"] - radians["Restaurant_longitude"]
        cosines = numpy.cos(radians["Delivery_location_latitude"]) * numpy.cos(radians["Restaurant_latitude"])
        way = 2 * 6371 * numpy.arcsin(numpy.sqrt(numpy.sin(up / 2) ** 2 + cosines * numpy.sin(along / 2) ** 2))
        made = {"way": way.where(way <= 60)}
        numbers = ["Delivery_person_Age", "Delivery_person_Ratings"]
        made |= {name: given[name] for name in [*numbers, *radians]}
        made |= {name: values[given.index] for name, values in hot.items()}
        return pandas.DataFrame(made)

    parts, folds = cut_by_hash(frame, ["ID"], 0.2, 0.1)
    value = frame["Time_taken(min)"].astype(float)
    square = lambda score: numpy.maximum(score, 0) ** 2
    kind = Regression(numpy.sqrt, square, trees=250, leaves=31, leaf_weight=20)
    features = Features(plain, [["city"]])
    return {"delivery-duration": train(kind, frame, value, value, features, parts, folds, frame["Delivery_person_ID"])}


def housing(data, directory):
    frame = pandas.read_csv(data / "california_housing.csv.gz")
    save(directory, "blocks", frame)
    check(len(frame) >= 5000, "rows")
    check(frame["total_bedrooms"].isna().mean() <= 0.03, "bedrooms")
    check(frame["longitude"].between(-125, -113).mean() >= 0.999, "longitudes")
    hot = one_hot(frame["ocean_proximity"])

    def plain(given):
        names = ["longitude", "latitude", "housing_median_age", "total_rooms", "population", "households", "median_income"]
        made = {name: given[name] for name in names}
        made["bedrooms"] = given["total_bedrooms"].fillna(given["total_bedrooms"].median())
        made["no bedrooms"] = given["total_bedrooms"].isna().astype(float)
        made["rooms a household"] = given["total_rooms"] / given["households"]
        made["bedrooms a room"] = given["total_bedrooms"] / given["total_rooms"]
        made["people a household"] = given["population"] / given["households"]
        made |= {name: values[given.index] for name, values in hot.items()}
        return pandas.DataFrame(made)

    parts, folds = cut_by_hash(frame, ["longitude", "latitude", "total_rooms", "population"], 0.2, 0.1)
    value = frame["median_house_value"].astype(float)
    cells = (frame["longitude"] // 0.5).astype(str) + (frame["latitude"] // 0.5).astype(str)
    kind = Regression(numpy.log, numpy.exp, trees=900, leaves=47, depth=10)
    return {"california-housing": train(kind, frame, value, value, Features(plain), parts, folds, cells)}


def weather(data, directory):
    frame = pandas.read_csv(data / "hourly_weather_beijing_2010_2014.csv.gz", na_values=["NA"])
    save(directory, "observations", frame)
    check(frame["No"].is_monotonic_increasing, "order")
    check(frame[["TEMP", "DEWP", "PRES"]].notna().all().all(), "nulls")
    frame["time"] = pandas.to_datetime(frame[["year", "month", "day", "hour"]])
    before = {"TEMP": range(1, 25), "PRES": (3, 6, 12, 24), "DEWP": (3, 6, 24)}
    lags = {f"{name}_{lag}": frame[name].shift(lag) for name, all_lags in before.items() for lag in all_lags}
    frame = pandas.concat([frame, pandas.DataFrame(lags)], axis=1)
    frame["later"] = frame["TEMP"].shift(-6)
    frame = frame.dropna(subset=["later"]).reset_index(drop=True)
    save(directory, "hours", frame)
    hot = one_hot(frame["cbwd"])

    def plain(given):
        made = calendar(given["time"], "hour", "hour_sin", "hour_cos", "day_of_year")
        made |= {name: given[name] for name in ["DEWP", "PRES", "Iws", "TEMP", *lags]}
        temperatures = ["TEMP"] + [f"TEMP_{lag}" for lag in range(1, 25)]
        for hours in (3, 6, 24):
            made[f"change {hours}"] = given["TEMP"] - given[f"TEMP_{hours}"]
        made["mean 6"] = given[temperatures[:7]].mean(axis=1)
        whole = given[temperatures]
        made |= {"mean 24": whole.mean(axis=1), "least": whole.min(axis=1), "most": whole.max(axis=1), "spread": whole.std(axis=1)}
        made["pressure"] = given["PRES"] - given["PRES_6"]
        made["dew"] = given["DEWP"] - given["DEWP_6"]
        made |= {name: values[given.index] for name, values in hot.items()}
        return pandas.DataFrame(made)

    days = (seconds(frame["time"]) // DAY).to_numpy()
    cut = cut_by_time(frame["time"], "2014-01-01", "2015-01-01", 90)
    value = frame["later"].astype(float)
    same = lambda score: score
    kind = Regression(same, same, trees=600, leaves=31, learning_rate=0.04)
    return {"hourly-forecast": train(kind, frame, value, value, Features(plain), cut, days % FOLDS, days)}


def main():
    case, data = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as directory:
        found = {"lfb": lfb, "delivery": delivery, "housing": housing, "weather": weather}[case](data, directory)
        joblib.dump(found, pathlib.Path(directory) / "found.joblib")
    print(json.dumps(found))


main()
