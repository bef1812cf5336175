//! Any bytes as YAML: what the fuzz target holds of all of them, with made-up and with spoilt files.

use crate::any::yaml;
use proptest::prelude::*;

const GOOD: &str = include_str!("../gitops/mistakes/backups.yaml");

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(data in prop::collection::vec(any::<u8>(), 0..300)) {
        yaml(&data);
    }

    #[test]
    fn pieces_of_yaml_are_read_to_an_end(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a: ", "- ", "\n", "  ", "&x ", "*x", "<<: ", "{", "}", "[", "]", "\"", "'", "|\n", "---\n", ": ",
                "!!str ", "# c\n", "\r\n", "\t", "? ", "apiVersion: db.orange.com/v2\n", "kind: CassandraBackup\n",
                "spec:\n", "metadata: {name: \"\\e[1m\"}\n", "  entities: k1,k2.t\n", "${X}", "{{ x }}", "\u{feff}",
            ]),
            0..60,
        ),
    ) {
        yaml(pieces.concat().as_bytes());
    }

    #[test]
    fn a_spoilt_file_is_read_to_an_end(at in 0..GOOD.len(), byte in any::<u8>(), cut in 0..GOOD.len()) {
        let mut data = GOOD.as_bytes().to_vec();
        if let Some(place) = data.get_mut(at) {
            *place = byte;
        }
        data.truncate(cut.max(at));
        yaml(&data);
    }
}
