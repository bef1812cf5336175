//! Empty. Cargo.toml says why.
