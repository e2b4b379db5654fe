//! The words of simulated incidents and how often they come, as shares of the published records of 2017.

use ratchet_core::plugin::TaskError;

/// Category and type of property, share of incidents (in 10,000), and in 1,000: stop codes, and further pumps for
/// special services and for everything else.
const PROPERTIES: &str = include_str!("lfb_properties.csv");

/// Columns of the incident table, in order.
pub const HEADER: [&str; 32] = [
    "IncidentNumber",
    "DateOfCall",
    "CalYear",
    "TimeOfCall",
    "HourOfCall",
    "TimestampOfCall",
    "IncidentGroup",
    "StopCodeDescription",
    "SpecialServiceType",
    "PropertyCategory",
    "PropertyType",
    "AddressQualifier",
    "Postcode_full",
    "Postcode_district",
    "IncGeo_BoroughCode",
    "IncGeo_BoroughName",
    "ProperCase",
    "IncGeo_WardCode",
    "IncGeo_WardName",
    "IncGeo_WardNameNew",
    "Easting_m",
    "Northing_m",
    "Easting_rounded",
    "Northing_rounded",
    "FRS",
    "IncidentStationGround",
    "FirstPumpArriving_AttendanceTime",
    "FirstPumpArriving_DeployedFromStation",
    "SecondPumpArriving_AttendanceTime",
    "SecondPumpArriving_DeployedFromStation",
    "NumStationsWithPumpsAttending",
    "NumPumpsAttending",
];

/// Incident group and stop code, in the order of the shares of a property type.
pub const STOP_CODES: [(&str, &str); 6] = [
    ("False Alarm", "AFA"),
    ("False Alarm", "False alarm - Good intent"),
    ("False Alarm", "False alarm - Malicious"),
    ("Fire", "Primary Fire"),
    ("Fire", "Secondary Fire"),
    ("Special Service", "Special Service"),
];

/// A kind of property.
pub struct Property {
    /// Category.
    pub category: &'static str,
    /// Type; some carry a trailing blank, as in the published files.
    pub name: String,
    /// Relative number of incidents.
    pub share: f64,
    /// Weights of [`STOP_CODES`].
    pub stop_codes: [f64; 6],
    /// Probability of exactly 2, 3, 4, 5 or more pumps at a special service.
    pub service_pumps: [f64; 4],
    /// The same at any other incident.
    pub other_pumps: [f64; 4],
}

/// The table of properties.
pub fn properties() -> Result<Vec<Property>, TaskError> {
    let mut properties = Vec::new();
    for (index, line) in PROPERTIES.lines().skip(1).enumerate() {
        let bad = || TaskError::permanent(format!("the table of properties has a bad line: {line}"));
        let mut fields = line.split(';');
        let category = fields.next().ok_or_else(bad)?;
        let name = fields.next().ok_or_else(bad)?;
        let numbers: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        let &[share, s0, s1, s2, s3, s4, s5, a2, a3, a4, a5, b2, b3, b4, b5] = numbers.as_slice() else {
            return Err(bad());
        };
        let trailing_blank = if index % 7 == 1 { " " } else { "" };
        properties.push(Property {
            category,
            name: format!("{name}{trailing_blank}"),
            share,
            stop_codes: [s0, s1, s2, s3, s4, s5],
            service_pumps: [a2, a3, a4, a5].map(|share| share / 1000.0),
            other_pumps: [b2, b3, b4, b5].map(|share| share / 1000.0),
        });
    }
    Ok(properties)
}

/// Names with their weights.
pub type Shares = &'static [(&'static str, f64)];

/// What the address of an incident is like, by category of property.
pub fn address_qualifiers(category: &str) -> Shares {
    match category {
        "Dwelling" | "Non Residential" | "Other Residential" => &[
            ("Correct incident location", 755.0),
            ("Within same building", 225.0),
            ("On land associated with building", 10.0),
            ("Nearby address - street not listed in gazetteer", 5.0),
            ("Nearby address - no building in street", 2.0),
        ],
        "Outdoor" => &[
            ("On land associated with building", 376.0),
            ("Open land/water - nearest gazetteer location", 256.0),
            ("In street outside gazetteer location", 203.0),
            ("In street close to gazetteer location", 102.0),
            ("In street remote from gazetteer location", 25.0),
            ("Nearby address - no building in street", 19.0),
        ],
        "Outdoor Structure" => &[
            ("In street outside gazetteer location", 334.0),
            ("On land associated with building", 252.0),
            ("Correct incident location", 228.0),
            ("In street close to gazetteer location", 121.0),
            ("Open land/water - nearest gazetteer location", 36.0),
        ],
        "Road Vehicle" => &[
            ("In street outside gazetteer location", 502.0),
            ("In street close to gazetteer location", 223.0),
            ("On land associated with building", 134.0),
            ("On motorway / elevated road", 51.0),
            ("Open land/water - nearest gazetteer location", 39.0),
        ],
        "Rail Vehicle" => &[("Railway land or rolling stock", 1.0)],
        _ => &[
            ("Open land/water - nearest gazetteer location", 5.0),
            ("On land associated with building", 5.0),
        ],
    }
}

/// What a special service was, by category of property.
pub fn special_services(category: &str) -> Shares {
    match category {
        "Dwelling" => &[
            ("Flooding", 287.0),
            ("Effecting entry/exit", 260.0),
            ("Lift Release", 201.0),
            ("No action (not false alarm)", 63.0),
            ("Medical Incident - Co-responder", 44.0),
            ("Making Safe (not RTC)", 39.0),
            ("Advice Only", 21.0),
            ("Hazardous Materials incident", 16.0),
            ("Assist other agencies", 15.0),
            ("Animal assistance incidents", 13.0),
            ("Medical Incident", 9.0),
            ("Evacuation (no fire)", 8.0),
        ],
        "Non Residential" => &[
            ("Lift Release", 243.0),
            ("Effecting entry/exit", 139.0),
            ("Flooding", 126.0),
            ("No action (not false alarm)", 106.0),
            ("Removal of objects from people", 73.0),
            ("Making Safe (not RTC)", 68.0),
            ("Hazardous Materials incident", 39.0),
            ("Other rescue/release of persons", 30.0),
            ("Animal assistance incidents", 22.0),
        ],
        "Other Residential" => &[
            ("Lift Release", 430.0),
            ("Effecting entry/exit", 180.0),
            ("Flooding", 140.0),
            ("Medical Incident - Co-responder", 110.0),
            ("No action (not false alarm)", 75.0),
        ],
        "Outdoor" => &[
            ("RTC", 158.0),
            ("Spills and Leaks (not RTC)", 153.0),
            ("No action (not false alarm)", 124.0),
            ("Flooding", 101.0),
            ("Animal assistance incidents", 80.0),
            ("Medical Incident", 66.0),
            ("Making Safe (not RTC)", 66.0),
            ("Assist other agencies", 47.0),
        ],
        "Outdoor Structure" => &[
            ("Making Safe (not RTC)", 293.0),
            ("No action (not false alarm)", 129.0),
            ("Assist other agencies", 88.0),
            ("Suicide/attempts", 82.0),
            ("Flooding", 82.0),
            ("Animal assistance incidents", 61.0),
        ],
        "Road Vehicle" => &[
            ("RTC", 741.0),
            ("Spills and Leaks (not RTC)", 80.0),
            ("No action (not false alarm)", 51.0),
            ("Effecting entry/exit", 47.0),
            ("Other Transport incident", 41.0),
        ],
        _ => &[
            ("Other Transport incident", 3.0),
            ("Assist other agencies", 2.0),
            ("Stand By", 2.0),
        ],
    }
}

/// Share of calls by hour of day, in 1,000, by category of property.
pub fn hours(category: &str) -> [f64; 24] {
    match category {
        "Dwelling" => [
            33., 29., 20., 18., 16., 14., 17., 23., 35., 37., 42., 47., 46., 54., 53., 58., 56., 64., 71., 66., 61.,
            54., 45., 41.,
        ],
        "Non Residential" => [
            23., 23., 19., 16., 15., 20., 29., 42., 52., 67., 72., 67., 67., 61., 59., 56., 52., 41., 49., 40., 41.,
            28., 31., 27.,
        ],
        "Outdoor" => [
            25., 22., 14., 9., 8., 8., 10., 18., 19., 26., 28., 42., 42., 52., 64., 70., 86., 82., 96., 84., 71., 47.,
            46., 28.,
        ],
        "Outdoor Structure" => [
            29., 22., 24., 17., 13., 9., 12., 14., 30., 28., 32., 38., 50., 52., 66., 55., 68., 78., 83., 74., 66.,
            53., 42., 41.,
        ],
        "Other Residential" => [
            40., 34., 22., 16., 17., 20., 25., 26., 35., 33., 46., 63., 55., 46., 46., 48., 56., 61., 72., 51., 51.,
            50., 46., 41.,
        ],
        _ => [
            35., 36., 24., 23., 18., 20., 24., 26., 35., 40., 36., 38., 49., 56., 53., 60., 53., 60., 64., 60., 58.,
            46., 47., 41.,
        ],
    }
}
