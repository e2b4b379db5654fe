//! The bucket that training and serving share.
//!
//! A bucket is a local directory or a prefix in S3-compatible storage. The engine writes into it, a replica of the
//! prediction service needs nothing else, and nothing in it is ever overwritten but the schema of a record collection:
//!
//! ```text
//! blobs/sha256/ab/cdef...           content under its own digest                     Bucket::put_blob, get_blob
//! datasets/<name>/<version>.json    what a table is and where it comes from          datasets
//! models/<name>/<version>.json      a model version's passport                       models
//! lookups/<name>/<version>.json     a table that serving reads beside a request      lookups
//! feeds/<collection>/schema.json    what the rows of a record collection are           collections
//! feeds/<collection>/<date>/...     what serving saw and was told                     feeds, purge
//! promotions/<20 digits>.json       who serves under which alias, and since when     PromotionLog
//! monitoring/<model>/<date>/*.json  what serving saw of a model, window by window      monitoring
//! sweeps/<20 digits>.json           blobs that are being collected right now         collect
//! ```
//!
//! # One primitive
//!
//! All of it rests on [`Bucket::create`]: make an object where none is, or learn that one is. The local store does it
//! with a hard link, S3 with a conditional request. A version number and a place in the promotion log are taken by
//! creating them, so that of two writers exactly one gets each.
//!
//! # Answers get lost
//!
//! A request may be carried out while its answer times out, and the client's next try then reads 'exists'. Therefore
//! each registration and each promotion carries a key, `run/task`, that is the same for every repetition: whoever finds
//! the own key reads that entry back and takes it as its own. The same call made twice, by a retry or by an engine that
//! was killed in between, gives one version and one entry.
//!
//! # What nothing refers to
//!
//! Blobs come before the manifest that refers to them, and the same content may be stored again at any time. [`collect`]
//! finds blobs that are older than a day and that nothing refers to, and removes them without ever taking one away from
//! a writer who was told that it is there.
//!
//! # What is promoted
//!
//! An entry of the [`PromotionLog`] holds the whole table of aliases after it, so that the newest one alone says what to
//! serve; and the SHA-256 of the entry before it, so that an altered history shows. A promotion names the champion that
//! its comparison met and is refused if another holds the alias by then. A rollback is a new entry; what it left is
//! barred until a person promotes it.
//!
//! # Who says so
//!
//! A bucket that was given a key ([`Bucket::signing_with`]) signs each manifest and each entry that is written through it.
//! [`TrustedKeys`] says whose signature counts, [`models::get_signed`] and [`PromotionLog::signed_entry`] read what it
//! is asked about.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use ratchet_artifacts::Bucket;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().to_str().ok_or("no path")?;
//! let bucket = Bucket::open(path).await?;
//! let blob = bucket.put_blob("an answer".into()).await?;
//! assert_eq!(blob.bytes, 9);
//! assert_eq!(bucket.get_blob(&blob).await?, "an answer");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With the feature `faults`, `faults` holds a store that fails on demand, and [`failpoints`] can end the process on
//! either side of every write, for tests of what is built on top.

mod blobs;
mod bucket;
pub mod collect;
pub mod collections;
pub mod datasets;
mod error;
pub mod failpoints;
#[cfg(feature = "faults")]
pub mod faults;
pub mod feeds;
mod location;
pub mod lookups;
mod manifest;
pub mod models;
pub mod monitoring;
mod names;
pub mod outside;
mod promotion_entry;
mod promotion_error;
mod promotions;
pub mod purge;
mod routing;
mod signing;
mod sweep;
mod versions;
pub mod web;

pub use blobs::{sha256, sha256_of_file};
pub use bucket::{Bucket, Created};
pub use error::BucketError;
pub use manifest::{
    BlobRef, Collected, ColumnManifest, DatasetManifest, Lineage, LookupManifest, ModelManifest, PageTag,
};
pub use names::check_name;
pub use promotion_entry::{Action, Holder, PromotionEntry};
pub use promotion_error::PromotionError;
pub use promotions::{Appended, Expected, NewPromotion, PromotionLog};
pub use routing::{CHAMPION, NewRouting};
pub use signing::{KeyError, PublicKey, SignatureError, Signed, SigningKey, TrustedKeys};
