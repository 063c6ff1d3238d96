// SPDX-License-Identifier: Apache-2.0
use super::{Change, Document, Facet, Found, Index, Order, Search};

fn package(name: &str, summary: &str) -> Document {
    Document {
        name: name.to_owned(),
        public: true,
        summary: summary.to_owned(),
        hooks: vec!["xdp".to_owned()],
        licences: vec!["MIT".to_owned()],
        signed: "signed".to_owned(),
        ..Document::default()
    }
}

fn index_of(documents: Vec<Document>) -> (tempfile::TempDir, Index) {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::open(folder.path()).unwrap();
    let changes: Vec<Change> = documents
        .into_iter()
        .map(|document| Change::Put(Box::new(document)))
        .collect();
    index
        .apply(&changes, i64::try_from(changes.len()).unwrap())
        .unwrap();
    (folder, index)
}

fn find(index: &Index, text: &str) -> Found {
    let search = Search {
        text: text.to_owned(),
        readable: Some(Vec::new()),
        limit: 50,
        ..Search::default()
    };
    index.search(&search).unwrap()
}

#[test]
fn a_better_place_ranks_higher() {
    let (_folder, index) = index_of(vec![
        Document {
            readme: "compare with shield".into(),
            ..package("a/readme", "x")
        },
        package("a/summary", "a shield for hosts"),
        Document {
            keywords: vec!["shield".into()],
            ..package("a/keyword", "x")
        },
        package("a/shielding", "x"),
        package("a/ddos-shield", "x"),
        package("a/shield", "x"),
    ]);
    assert_eq!(
        find(&index, "shield").names,
        [
            "a/shield",
            "a/ddos-shield",
            "a/shielding",
            "a/keyword",
            "a/summary",
            "a/readme"
        ]
    );
    assert_eq!(find(&index, "a/ddos-shield").names[0], "a/ddos-shield");
}

#[test]
fn a_typo_and_a_left_out_dash_find_the_package() {
    let (_folder, index) = index_of(vec![
        package("netops/ratelimiting", "x"),
        package("netops/exec-trace", "x"),
    ]);
    for text in [
        "ratelimitting",
        "ratelimting",
        "RATELIMITING",
        "ratel",
        "rateilmiting",
    ] {
        assert_eq!(find(&index, text).names, ["netops/ratelimiting"], "{text}");
    }
    for text in ["exectrace", "exec trace", "exec_trace", "trace"] {
        assert_eq!(find(&index, text).names, ["netops/exec-trace"], "{text}");
    }
}

#[test]
fn hostile_queries_never_error() {
    let (_folder, index) = index_of(vec![package("netops/ratelimiting", "x")]);
    let long = "a".repeat(100_000);
    let wide = "é".repeat(1_000);
    for text in [
        "\"",
        "(",
        "name:",
        "AND OR NOT",
        "*",
        "[a TO b]",
        "\0",
        "' or 1=1 --",
        "😀",
        "\u{202e}",
        "a~9",
        &long,
        &wide,
    ] {
        assert!(find(&index, text).total <= 1, "{text}");
    }
    assert_eq!(find(&index, "").total, 1);
}

#[test]
fn words_that_never_meet_find_packages_with_some_of_them() {
    let (_folder, index) = index_of(vec![package("a/one", "apples"), package("a/two", "pears")]);
    let found = find(&index, "apples pears");
    assert!(found.relaxed);
    assert_eq!(found.names, ["a/one", "a/two"]);
    assert!(!find(&index, "apples").relaxed);
}

#[test]
fn facets_count_and_filter() {
    let (_folder, index) = index_of(vec![
        package("a/one", "x"),
        Document {
            hooks: vec!["tc".into(), "xdp".into()],
            signed: "unsigned".into(),
            ..package("a/two", "x")
        },
    ]);
    let all = find(&index, "");
    let count = |facet: Facet, value: &str| {
        all.facets
            .iter()
            .find(|count| count.facet == facet && count.value == value)
            .map_or(0, |count| count.packages)
    };
    assert_eq!(
        (
            count(Facet::Hook, "xdp"),
            count(Facet::Hook, "tc"),
            count(Facet::Signed, "unsigned")
        ),
        (2, 1, 1)
    );
    let search = Search {
        filters: vec![(Facet::Signed, "unsigned".into())],
        readable: None,
        limit: 10,
        ..Search::default()
    };
    assert_eq!(index.search(&search).unwrap().names, ["a/two"]);
}

#[test]
fn a_kernel_filter_keeps_what_runs_there() {
    let kernel = |major, minor| Document::kernel_number(major, minor);
    let (_folder, index) = index_of(vec![
        package("a/any", "x"),
        Document {
            kernel: kernel(5, 15),
            ..package("a/new", "x")
        },
        Document {
            kernel: kernel(6, 6),
            ..package("a/newest", "x")
        },
    ]);
    let search = Search {
        kernel: Some(kernel(6, 1)),
        limit: 10,
        ..Search::default()
    };
    assert_eq!(index.search(&search).unwrap().names, ["a/any", "a/new"]);
}

#[test]
fn private_packages_are_found_by_their_readers_alone() {
    let (_folder, index) = index_of(vec![
        Document {
            public: false,
            ..package("secret/one", "x")
        },
        package("a/two", "x"),
    ]);
    assert_eq!(find(&index, "").names, ["a/two"]);
    assert!(
        find(&index, "")
            .facets
            .iter()
            .all(|count| count.packages == 1)
    );
    let search = Search {
        readable: Some(vec!["secret".into()]),
        limit: 10,
        ..Search::default()
    };
    assert_eq!(index.search(&search).unwrap().total, 2);
}

#[test]
fn pages_are_stable_and_stars_break_ties() {
    let mut documents: Vec<Document> = (0..30)
        .map(|n| package(&format!("a/p{n:02}"), "x"))
        .collect();
    documents[29].stars = 1;
    let (_folder, index) = index_of(documents);
    let page = |first| {
        let search = Search {
            first,
            limit: 10,
            ..Search::default()
        };
        index.search(&search).unwrap().names
    };
    let names: Vec<String> = [page(0), page(10), page(20)].concat();
    let expected: Vec<String> = std::iter::once(29)
        .chain(0..29)
        .map(|n| format!("a/p{n:02}"))
        .collect();
    assert_eq!(names, expected);
    assert!(page(30).is_empty() && page(usize::MAX).is_empty());
}

#[test]
fn lists_come_newest_first_or_by_name() {
    let (_folder, index) = index_of(vec![
        Document {
            published: 2,
            ..package("b/old", "x")
        },
        Document {
            published: 3,
            ..package("c/new", "x")
        },
        Document {
            published: 2,
            stars: 9,
            ..package("a/old", "x")
        },
    ]);
    let names = |order, namespace: Option<&str>| {
        let namespace = namespace.map(str::to_owned);
        index
            .search(&Search {
                order,
                namespace,
                limit: 10,
                ..Search::default()
            })
            .unwrap()
            .names
    };
    assert_eq!(names(Order::Newest, None), ["c/new", "a/old", "b/old"]);
    assert_eq!(names(Order::Name, None), ["a/old", "b/old", "c/new"]);
    assert_eq!(names(Order::Name, Some("b")), ["b/old"]);
}

#[test]
fn changes_replace_and_remove_and_survive_a_restart() {
    let (folder, index) = index_of(vec![package("a/one", "before"), package("a/two", "x")]);
    index
        .apply(
            &[
                Change::Put(Box::new(package("a/one", "after"))),
                Change::Remove("a/two".into()),
            ],
            4,
        )
        .unwrap();
    drop(index);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.position().unwrap(), 4);
    assert_eq!(find(&index, "after").names, ["a/one"]);
    assert_eq!(
        (find(&index, "before").total, find(&index, "").total),
        (0, 1)
    );
    index.clear().unwrap();
    assert_eq!((index.position().unwrap(), find(&index, "").total), (0, 0));
}

#[test]
fn an_unreadable_index_is_started_again() {
    let (folder, index) = index_of(vec![package("a/one", "x")]);
    drop(index);
    std::fs::write(folder.path().join("v1/meta.json"), "{").unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!((index.position().unwrap(), find(&index, "").total), (0, 0));
}
