// SPDX-License-Identifier: Apache-2.0
//! Fields of the index and how text is cut into words.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer,
};
use tantivy::{Index, TantivyDocument};

use super::document::{Document, Facet};

const WORDS: &str = "words";
/// Longer words carry no meaning that somebody would type, in bytes.
const LONGEST_WORD: usize = 64;
/// Value of the visibility field for what everyone may find.
pub(super) const PUBLIC: &str = "public";
const PRIVATE: &str = "private";

/// Handles of all fields.
pub(super) struct Fields {
    pub(super) key: Field,
    pub(super) namespace: Field,
    pub(super) visibility: Field,
    /// Full name and bare name, lower case, each as one word: for exact hits.
    pub(super) exact: Field,
    pub(super) name: Field,
    pub(super) keywords: Field,
    pub(super) summary: Field,
    pub(super) symbols: Field,
    pub(super) readme: Field,
    pub(super) kernel: Field,
    stars: Field,
    published: Field,
    hook: Field,
    licence: Field,
    signed: Field,
    can: Field,
    map: Field,
}

/// Builds the schema of format `v1`.
pub(super) fn build() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = TextOptions::default().set_indexing_options(
        TextFieldIndexing::default()
            .set_tokenizer(WORDS)
            .set_index_option(IndexRecordOption::Basic),
    );
    let facet = STRING | FAST;
    let fields = Fields {
        key: schema.add_text_field("key", STRING | FAST),
        namespace: schema.add_text_field("namespace", STRING),
        visibility: schema.add_text_field("visibility", STRING),
        exact: schema.add_text_field("exact", STRING),
        name: schema.add_text_field("name", words.clone()),
        keywords: schema.add_text_field("keywords", words.clone()),
        summary: schema.add_text_field("summary", words.clone()),
        symbols: schema.add_text_field("symbols", words.clone()),
        readme: schema.add_text_field("readme", words),
        kernel: schema.add_u64_field("kernel", INDEXED | FAST),
        stars: schema.add_u64_field("stars", FAST),
        published: schema.add_u64_field("published", FAST),
        hook: schema.add_text_field(Facet::Hook.name(), facet.clone()),
        licence: schema.add_text_field(Facet::Licence.name(), facet.clone()),
        signed: schema.add_text_field(Facet::Signed.name(), facet.clone()),
        can: schema.add_text_field(Facet::Can.name(), facet.clone()),
        map: schema.add_text_field(Facet::Map.name(), facet),
    };
    (schema.build(), fields)
}

/// Words are runs of letters and digits, lower case, without accents.
pub(super) fn register_tokenizer(index: &Index) {
    let words = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .build();
    index.tokenizers().register(WORDS, words);
}

impl Fields {
    /// The field behind a facet.
    pub(super) fn facet(&self, facet: Facet) -> Field {
        match facet {
            Facet::Hook => self.hook,
            Facet::Licence => self.licence,
            Facet::Signed => self.signed,
            Facet::Can => self.can,
            Facet::Map => self.map,
        }
    }

    /// Lays a package out over the fields.
    pub(super) fn document(&self, package: &Document) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        let bare = package
            .name
            .split_once('/')
            .map_or(package.name.as_str(), |(_, name)| name);
        document.add_text(self.key, &package.name);
        document.add_text(self.namespace, package.namespace());
        document.add_text(
            self.visibility,
            if package.public { PUBLIC } else { PRIVATE },
        );
        document.add_text(self.exact, package.name.to_lowercase());
        document.add_text(self.exact, bare.to_lowercase());
        document.add_text(self.name, &package.name);
        // `exectrace` finds `exec-trace`: people leave the dashes out.
        document.add_text(self.name, bare.replace(['-', '_', '.'], ""));
        document.add_text(self.summary, &package.summary);
        document.add_text(self.readme, &package.readme);
        document.add_u64(self.kernel, package.kernel);
        document.add_u64(self.stars, package.stars);
        document.add_u64(self.published, package.published);
        document.add_text(self.signed, &package.signed);
        let lists = [
            (self.keywords, &package.keywords),
            (self.symbols, &package.symbols),
            (self.hook, &package.hooks),
            (self.licence, &package.licences),
            (self.can, &package.abilities),
            (self.map, &package.maps),
        ];
        for (field, values) in lists {
            for value in values {
                document.add_text(field, value);
            }
        }
        document
    }
}
