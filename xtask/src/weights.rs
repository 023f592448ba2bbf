//! `weights`: a model into the hub cache, and its folder onto standard output.

use std::process::ExitCode;

use anyhow::Result;
use retune_data::hub::{Hub, HubError, ModelReference, Snapshot};

use crate::progress::Bar;

pub(crate) fn run(id: &str, revision: Option<&str>) -> Result<ExitCode> {
    let snapshot = fetch(id, revision)?;
    eprintln!("{id} at {}", snapshot.commit);
    println!("{}", snapshot.dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Fetches what the cache lacks.
pub(crate) fn fetch(id: &str, revision: Option<&str>) -> Result<Snapshot> {
    let model = ModelReference::parse(id, revision)?;
    Ok(Hub::from_env()?.fetch_model(model.id(), Some(model.revision()), &Bar::default())?)
}

/// Whether the request cannot be met as it was typed.
pub(crate) fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<HubError>().is_some_and(HubError::is_usage)
}
