//! The user of a request.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The user of a request: the API server's `userInfo` as JSON.
///
/// The text is parsed only if the API server has to be asked about the user. Requests of the same user have the same text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The JSON text; empty if the API server names no user.
    pub user_info: String,
}

/// The fields of `userInfo`. A missing field is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct User {
    /// The user's name. A user without a name may read nothing.
    pub username: Option<String>,
    /// The user's id.
    pub uid: Option<String>,
    /// The user's groups.
    pub groups: Option<Vec<String>>,
    /// Extra attributes from the authenticator.
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

impl Caller {
    /// Returns the user; without a name if the text is no `userInfo`.
    #[must_use]
    pub fn user(&self) -> User {
        serde_json::from_str(&self.user_info).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Caller, User};

    #[test]
    fn a_user_that_cannot_be_read_has_no_name() {
        for text in ["", "null", "{}", "5", "{\"username\": 5}"] {
            let caller = Caller {
                user_info: text.to_owned(),
            };
            assert_eq!(caller.user(), User::default(), "{text}");
        }
        let caller = Caller {
            user_info: r#"{"username": "jane", "uid": null, "groups": ["a"], "more": 1}"#.to_owned(),
        };
        let user = caller.user();
        assert_eq!(user.username.as_deref(), Some("jane"));
        assert_eq!((user.uid, user.groups), (None, Some(vec!["a".to_owned()])));
    }
}
