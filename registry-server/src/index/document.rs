// SPDX-License-Identifier: Apache-2.0
//! What goes into the index and what comes out.

/// One package as the index sees it: its latest version, in words.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// `namespace/name`.
    pub name: String,
    /// Everyone may find it; otherwise only those who may read its namespace.
    pub public: bool,
    /// One sentence of the publisher.
    pub summary: String,
    /// The publisher's keywords and categories.
    pub keywords: Vec<String>,
    /// README as text.
    pub readme: String,
    /// Functions, maps and kernel calls of its objects.
    pub symbols: Vec<String>,
    /// Program types, such as `xdp`.
    pub hooks: Vec<String>,
    /// SPDX identifiers of the licence expression.
    pub licences: Vec<String>,
    /// What is known of the signature: one word of the trust scale.
    pub signed: String,
    /// Map types, such as `per_cpu_array`.
    pub maps: Vec<String>,
    /// What its programs can do, one word per class.
    pub abilities: Vec<String>,
    /// Oldest kernel it is meant for, as [`kernel_number`](Self::kernel_number); 0 when it names none.
    pub kernel: u64,
    /// Accounts that starred it.
    pub stars: u64,
    /// When its latest version was published, in microseconds since 1970.
    pub published: u64,
}

impl Document {
    /// Returns `major.minor` as one ordered number.
    pub fn kernel_number(major: u64, minor: u64) -> u64 {
        major.saturating_mul(1_000).saturating_add(minor.min(999))
    }

    /// The part of the name before the slash.
    pub(super) fn namespace(&self) -> &str {
        self.name
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }
}

/// One entry of the feed that the index follows.
#[derive(Debug, Clone)]
pub enum Change {
    /// The package is new or looks different now.
    Put(Box<Document>),
    /// The package, named `namespace/name`, has no version left.
    Remove(String),
}

impl Change {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Put(document) => &document.name,
            Self::Remove(name) => name,
        }
    }
}

/// A property that can be counted and filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Facet {
    /// Program type.
    Hook,
    /// SPDX identifier.
    Licence,
    /// Word of the trust scale.
    Signed,
    /// What the programs can do.
    Can,
    /// Map type.
    Map,
}

impl Facet {
    /// Every facet, in the order in which pages show them.
    pub const ALL: [Self; 5] = [
        Self::Hook,
        Self::Signed,
        Self::Licence,
        Self::Can,
        Self::Map,
    ];

    /// Name of the query parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Licence => "licence",
            Self::Signed => "signed",
            Self::Can => "can",
            Self::Map => "map",
        }
    }

    /// Finds the facet that a query parameter names.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.name() == name)
    }
}

/// In which order hits come. Those that are equal come by name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Best match first, then most stars.
    #[default]
    Best,
    /// Latest publication first.
    Newest,
    /// By name.
    Name,
}

impl Order {
    /// Finds the order that a query parameter names.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "best" => Some(Self::Best),
            "newest" => Some(Self::Newest),
            "name" => Some(Self::Name),
            _ => None,
        }
    }
}

/// A question to the index.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Any text; empty finds everything.
    pub text: String,
    /// All of them must hold.
    pub filters: Vec<(Facet, String)>,
    /// In this namespace.
    pub namespace: Option<String>,
    /// Runs on this kernel, as [`Document::kernel_number`].
    pub kernel: Option<u64>,
    /// Private namespaces that the caller may read; `None` for one who may read all.
    pub readable: Option<Vec<String>>,
    /// What comes first.
    pub order: Order,
    /// Number of hits to skip.
    pub first: usize,
    /// Most hits to return.
    pub limit: usize,
}

/// How many of the found packages have one value of one facet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The property.
    pub facet: Facet,
    /// Its value.
    pub value: String,
    /// Number of packages.
    pub packages: u64,
}

/// The answer.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// `namespace/name` of the hits on this page, best first.
    pub names: Vec<String>,
    /// Number of hits on all pages.
    pub total: usize,
    /// Counts over all hits, most frequent value first within a facet.
    pub facets: Vec<FacetCount>,
    /// No package holds all words of the text: these hold some.
    pub relaxed: bool,
}
