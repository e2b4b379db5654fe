//! The Open Inference Protocol, version 2, over REST: models by the clients of Triton, KServe and MLServer.

pub mod describe;
pub mod encode;
pub mod infer;
pub mod refusal;
pub mod repository;
pub mod request;
pub mod routes;
pub mod tensor;
