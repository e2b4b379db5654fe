//! What training and serving agree on.
//!
//! A model is a [`Bundle`]: one immutable file. Training fills a [`Content`] and calls [`Bundle::write`]; whoever serves
//! or compares calls [`Bundle::read`], [`Bundle::check_golden_rows`], and then [`Bundle::parse`] and [`Bundle::answer`] per
//! request. Both sides turn fields into features with the same [`features::Pipeline`] and features into scores with the
//! same [`predictor::Predictor`], so that an online answer equals the offline one to the last bit.
//!
//! - [`schema`]: the fields of a request, how each is read, and when each is known.
//! - [`features`]: the pipeline, fitted in training.
//! - [`predictor`]: flat trees and linear models, checked before use.
//! - [`Explanation`]: what each field contributed to a score.
//! - [`conformal`], [`slices`], [`drift`]: intervals, known weaknesses, and what training saw.
//! - [`metrics`]: one definition of each.
//!
//! The crate does no I/O and knows no table library; exp, ln and sin come from one implementation ([`arithmetic`]).

mod answer;
pub mod arithmetic;
mod breaking;
mod bundle;
pub mod conformal;
pub mod drift;
mod explain;
pub mod features;
pub mod metrics;
mod output;
pub mod predictor;
mod route;
pub mod schema;
pub mod slices;
mod target;

pub use answer::{Answer, Prediction};
pub use breaking::breaking_changes;
pub use bundle::{Bundle, BundleError, Content, FORMAT, Window};
pub use explain::{Contributions, Explanation};
pub use output::{Calibration, ModelOutput, most_weighty, predict};
pub use route::{is_model_name, route_problem};
pub use schema::{Column, Field, FieldKind, FieldProblem, Known, Rows, Schema, UnusedField};
pub use target::{Question, Target, TargetKind, Transform, class_probabilities};
