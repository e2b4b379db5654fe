//! What crosses crates, tested from outside: the programs `ratchet` and `ratchet-api` as they are shipped, on real
//! records, against a real S3 server. The tests stand in `tests/it`; `make test` builds both programs first.
