use super::{Entities, EntitiesError, Flaw, Outside};

fn parse(text: &str) -> Entities {
    Entities::parse(text).unwrap()
}

fn errors(text: &str) -> Vec<EntitiesError> {
    Entities::parse(text).unwrap_err()
}

#[test]
fn an_empty_field_means_everything() {
    assert_eq!(parse(""), Entities::Everything);
}

#[test]
fn extra_commas_white_space_and_duplicates_are_ignored() {
    for text in ["k1,k2", "k1 k2", " k2 , k1 ", "k1,,k2,", "k1\tk2\nk1"] {
        assert_eq!(parse(text).to_string(), "k1,k2", "{text:?}");
    }
    assert_eq!(parse("k2.t3,k1.t1,k1.t1").to_string(), "k1.t1,k2.t3");
}

#[test]
fn a_message_lists_a_few_items_and_the_total() {
    assert_eq!(parse("k1,k2").abbreviated(), "k1,k2");
    let many: Vec<String> = (10..20).map(|n| format!("k.t{n}")).collect();
    assert_eq!(
        parse(&many.join(",")).abbreviated(),
        "k.t10,k.t11,k.t12,k.t13,k.t14,k.t15,… (10 in all)"
    );
}

#[test]
fn a_list_that_is_too_long_is_rejected() {
    let long = "k1.t1,".repeat(6_000);
    assert_eq!(errors(&long), [EntitiesError::TooLong(36_000)]);
}

#[test]
fn letter_case_is_kept() {
    assert_eq!(parse("MyKs.MyTable").to_string(), "MyKs.MyTable");
}

#[test]
fn items_that_esop_would_drop_or_split_wrongly_are_malformed() {
    for (text, item, flaw) in [
        ("k1.t1.idx", "k1.t1.idx", Flaw::Parts(3)),
        ("k1.", "k1.", Flaw::EmptyPart),
        (".t1", ".t1", Flaw::EmptyPart),
        ("k1 .t1", ".t1", Flaw::EmptyPart),
        ("k1. t1", "k1.", Flaw::EmptyPart),
        (".", ".", Flaw::EmptyPart),
        ("k1..t1", "k1..t1", Flaw::Parts(3)),
        ("k1.*", "k1.*", Flaw::Character('*')),
        ("k1;k2", "k1;k2", Flaw::Character(';')),
        ("my-ks", "my-ks", Flaw::Character('-')),
        ("ключ", "ключ", Flaw::Character('к')),
        ("k1\u{a0}k2", "k1\u{a0}k2", Flaw::Character('\u{a0}')),
        ("\"MyKs\".t", "\"MyKs\".t", Flaw::Quoted),
    ] {
        let found = errors(text);
        assert_eq!(
            found[0],
            EntitiesError::Item {
                item: item.into(),
                flaw
            },
            "{text:?}"
        );
    }
    let long = "x".repeat(49);
    assert_eq!(
        errors(&long),
        [EntitiesError::Item {
            item: long.clone(),
            flaw: Flaw::LongKeyspace(49)
        }]
    );
    assert_eq!(parse(&"x".repeat(48)).to_string().len(), 48);
}

#[test]
fn a_table_may_have_a_longer_name_than_a_keyspace() {
    let of = |keyspace: usize, table: usize| format!("{}.{}", "k".repeat(keyspace), "t".repeat(table));
    assert_eq!(parse(&of(48, 222)).to_string(), of(48, 222));
    for (item, flaw) in [
        (of(48, 223), Flaw::LongTable(223)),
        (of(49, 222), Flaw::LongKeyspace(49)),
        ("k".repeat(222), Flaw::LongKeyspace(222)),
    ] {
        assert_eq!(
            errors(&item),
            [EntitiesError::Item {
                item: item.clone(),
                flaw
            }]
        );
    }
}

#[test]
fn separators_alone_are_not_everything() {
    for text in [",", " ", ", ,"] {
        assert_eq!(errors(text), [EntitiesError::NamesNothing], "{text:?}");
    }
}

#[test]
fn every_error_is_returned_at_once() {
    let found = errors("k1,k2.t2,a.b.c,x-y");
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[2],
        EntitiesError::Mixed {
            keyspaces: "k1".into(),
            tables: "k2.t2".into()
        }
    );
}

#[test]
fn a_part_of_the_backup_is_not_outside() {
    for (asked, held) in [
        ("k1.t1", "k1.t1,k2.t3"),
        ("k1.t1", "k1"),
        ("k1", "k1,k2"),
        ("k1", ""),
        ("k1.t1", ""),
        ("", "k1.t1"),
        ("", ""),
    ] {
        assert_eq!(parse(asked).outside(&parse(held)), [], "{asked:?} of {held:?}");
    }
}

#[test]
fn a_keyspace_is_wider_than_its_backed_up_tables() {
    let (asked, held) = (parse("k1"), parse("k1.t1,k1.t2,k2.t3"));
    let outside = asked.outside(&held);
    let [Outside::Wider { keyspace, held }] = outside.as_slice() else {
        panic!("{outside:?}")
    };
    assert_eq!(keyspace.as_str(), "k1");
    assert_eq!(
        held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["k1.t1", "k1.t2"]
    );
}

#[test]
fn items_that_the_backup_does_not_contain_are_outside() {
    for (asked, held) in [
        ("k3", "k1,k2"),
        ("k3", "k1.t1"),
        ("k3.t1", "k1"),
        ("k1.t9", "k1.t1"),
        ("K1", "k1"),
    ] {
        assert_eq!(parse(asked).outside(&parse(held)).len(), 1, "{asked} of {held}");
    }
}

#[test]
fn system_keyspaces_are_found_in_keyspaces_and_in_tables() {
    assert_eq!(parse("system_auth.roles,k1.t1").system(), ["system_auth.roles"]);
    assert_eq!(
        parse("k1,system,system_traces").system(),
        ["system", "system_traces"]
    );
    assert!(parse("systems,system_authx").system().is_empty());
}
