//! The schema version that `spec.exactSchemaVersion` requires.
//!
//! A sidecar compares the schema version only when it selects a snapshot by its tag. Of a whole name it reads none, so the
//! name is compared here.

use super::RestorePlanner;
use super::mismatch::Mismatch;
use crate::api::{Reason, RestoreSource};
use crate::domain::resolved_tag::ResolvedTag;
use crate::reconcile::plan::wait::Wait;

impl RestorePlanner<'_> {
    /// Compares the schema version in the name of the snapshot with the one that the spec requires. `None` if that of the
    /// ring is needed and not known; then the restore waits.
    pub(super) fn check_schema(&mut self, source: &RestoreSource) -> Option<Result<(), Mismatch>> {
        let spec = &self.restore.spec;
        let name = source.snapshot_tag.as_deref().unwrap_or_default();
        let taken_with = ResolvedTag::parse(name).ok().and_then(|tag| tag.schema_version());
        let (Some(true), Some(taken_with)) = (spec.exact_schema_version, taken_with) else {
            return Some(Ok(()));
        };
        let named = spec
            .schema_version
            .as_deref()
            .filter(|version| !version.is_empty());
        let (required, origin) = match named {
            Some(version) => (version.to_ascii_lowercase(), "spec.schemaVersion is"),
            None => (self.ring_schema()?, "the ring has"),
        };
        if required == taken_with.as_str() {
            return Some(Ok(()));
        }
        let message = format!(
            "snapshot {name} was taken with the schema version {taken_with}, and {origin} {required}, which \
             spec.exactSchemaVersion requires; name a snapshot of that version in spec.snapshot of a new restore, or leave \
             spec.exactSchemaVersion out"
        );
        Some(Err(Mismatch::new(Reason::SchemaMismatch, message)))
    }

    /// Returns the schema version of the ring. `None` if it is not known; then the restore waits.
    fn ring_schema(&mut self) -> Option<String> {
        let ring = self.plan.ring()?;
        if ring.schema.is_none() {
            let message = "the ring reports no schema version, which spec.exactSchemaVersion is compared with; the \
                           restore begins when it does";
            self.plan.wait_for(Wait::new(Reason::SchemaUnknown, message));
        }
        ring.schema.as_ref().map(|schema| schema.as_str().to_owned())
    }
}
