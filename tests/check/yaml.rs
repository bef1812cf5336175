//! Arbitrary bytes as YAML: the properties of the fuzz target, with generated and with damaged files.

use crate::any::yaml;
use proptest::prelude::*;

const VALID: &str = include_str!("../gitops/mistakes/backups.yaml");

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_to_their_end(data in prop::collection::vec(any::<u8>(), 0..300)) {
        yaml(&data);
    }

    #[test]
    fn combined_pieces_of_yaml_are_read_to_their_end(
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
    fn a_damaged_file_is_read_to_its_end(at in 0..VALID.len(), byte in any::<u8>(), cut in 0..VALID.len()) {
        let mut data = VALID.as_bytes().to_vec();
        if let Some(place) = data.get_mut(at) {
            *place = byte;
        }
        data.truncate(cut.max(at));
        yaml(&data);
    }
}
