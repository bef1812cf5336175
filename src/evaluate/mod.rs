//! Evaluates one object: gathers facts, applies the rules, and reads live before a denial.
//!
//! The webhook uses all of it, the reconciler judges stored objects, and `check` uses the gatherer.
//!
//! | part | content |
//! |---|---|
//! | `gather` | reads the facts of an object from a [`FactSource`](crate::rules::facts::FactSource) before a deadline |
//! | `judge` | runs rules on the facts and reads live before a denial |
//! | `partial` | parses selected parts of a JSON text |
//! | `request` | creation, update and deletion: what is judged, and the new object against the old one |
//! | `redact` | removes what findings say of a Secret that the caller may not read |
//! | `stored` | judges objects that are stored already |
//! | `stored_spec` | reads the stored spec of an update, also if it is over the limits |

mod gather;
mod judge;
mod partial;
mod redact;
mod request;
mod stored;
mod stored_spec;

pub use gather::Gatherer;
pub use partial::{Part, parse as parse_part};
pub use request::{Evaluation, Object, Update};
pub use stored::{Judge, StoredJudge, stored_metadata};
