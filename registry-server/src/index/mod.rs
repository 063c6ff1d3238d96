// SPDX-License-Identifier: Apache-2.0
//! Full-text index of the catalogue: documents in, ordered names and facet counts out.
//!
//! The index holds nothing of its own. It follows the store's feed of changes, remembers how far
//! it got, and can be thrown away and rebuilt from the store at any time.

mod document;
mod ranking;
mod schema;
#[cfg(test)]
mod tests;

use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::agg_result::{AggregationResult, AggregationResults, BucketResult};
use tantivy::aggregation::{AggContextParams, AggregationCollector, Key};
use tantivy::collector::sort_key::{SortByErasedType, SortByStaticFastValue, SortByString};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, Occur, Query, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{IndexReader, IndexWriter, ReloadPolicy, Term};

pub use document::{Change, Document, Facet, FacetCount, Found, Order, Search};
use schema::Fields;

/// Name of the folder for this shape of the index; a new shape gets a new name and is rebuilt.
const FORMAT: &str = "v1";
/// Memory that the one writer thread may use before it flushes, in bytes.
const WRITER_BYTES: usize = 15_000_000;
/// Deepest hit that paging reaches: the collector keeps this many candidates in memory.
const DEEPEST_HIT: usize = 10_000;
/// Most values counted per facet.
const FACET_VALUES: u32 = 50;

/// Why the index could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder cannot be created or emptied.
    #[error("search index folder `{path}` cannot be used: {source}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The search library refused.
    #[error(
        "search index: {0}; stop the registry, remove its `index` folder and start it again to rebuild"
    )]
    Engine(#[from] tantivy::TantivyError),
    /// The remembered position is not a number.
    #[error(
        "search index remembers position `{0}`, which is not a number; remove the registry's `index` folder to rebuild"
    )]
    Position(String),
}

/// The searchable catalogue.
pub struct Index {
    engine: tantivy::Index,
    reader: IndexReader,
    /// Held by the one who writes. The files themselves are locked only meanwhile, so that a
    /// registry that ends leaves nothing locked.
    writing: Mutex<()>,
    fields: Fields,
}

impl Index {
    /// Opens the index under `folder`, or starts an empty one where there is none or an unreadable one.
    ///
    /// # Errors
    /// [`IndexError::Folder`] when the folder cannot be created or emptied; [`IndexError::Engine`]
    /// when it cannot be read again after that.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let path = folder.join(FORMAT);
        let folder_error = |source| IndexError::Folder {
            path: path.display().to_string(),
            source,
        };
        std::fs::create_dir_all(&path).map_err(folder_error)?;
        let (schema, fields) = schema::build();
        let engine = match open_engine(&path, &schema) {
            Ok(engine) => engine,
            Err(error) => {
                // Everything in it can be derived again, so an unreadable index is not kept.
                tracing::warn!(%error, path = %path.display(), "search index is unreadable; rebuilding it");
                std::fs::remove_dir_all(&path).map_err(folder_error)?;
                std::fs::create_dir_all(&path).map_err(folder_error)?;
                open_engine(&path, &schema)?
            }
        };
        Self::with(engine, fields)
    }

    /// An empty index that is not kept, for a program that works beside the registry.
    ///
    /// # Errors
    /// [`IndexError::Engine`].
    pub fn in_memory() -> Result<Self, IndexError> {
        let (schema, fields) = schema::build();
        Self::with(tantivy::Index::create_in_ram(schema), fields)
    }

    fn with(engine: tantivy::Index, fields: Fields) -> Result<Self, IndexError> {
        schema::register_tokenizer(&engine);
        let reader = engine
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            engine,
            reader,
            writing: Mutex::default(),
            fields,
        })
    }

    /// Returns the number of the last change that the index holds; 0 when it is empty.
    ///
    /// # Errors
    /// [`IndexError::Position`] when the remembered value is not a number.
    pub fn position(&self) -> Result<i64, IndexError> {
        match self.engine.load_metas()?.payload {
            None => Ok(0),
            Some(payload) => payload.parse().map_err(|_| IndexError::Position(payload)),
        }
    }

    /// Writes `changes` and remembers `position`, in one step: a crash leaves all or none of it.
    ///
    /// # Errors
    /// [`IndexError::Engine`] when the disk refuses; nothing is changed then.
    pub fn apply(&self, changes: &[Change], position: i64) -> Result<(), IndexError> {
        self.write(position, |writer| {
            for change in changes {
                writer.delete_term(Term::from_field_text(self.fields.key, change.name()));
                if let Change::Put(document) = change {
                    writer.add_document(self.fields.document(document))?;
                }
            }
            Ok(())
        })
    }

    /// Forgets everything, so that the next look at the feed of changes begins at its start.
    ///
    /// # Errors
    /// [`IndexError::Engine`] when the disk refuses.
    pub fn clear(&self) -> Result<(), IndexError> {
        self.write(0, |writer| {
            writer.delete_all_documents()?;
            Ok(())
        })
    }

    fn write(
        &self,
        position: i64,
        work: impl FnOnce(&IndexWriter) -> Result<(), IndexError>,
    ) -> Result<(), IndexError> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer: IndexWriter = self.engine.writer_with_num_threads(1, WRITER_BYTES)?;
        work(&writer)?;
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(&position.to_string());
        commit.commit()?;
        writer.wait_merging_threads()?;
        self.reader.reload()?;
        Ok(())
    }

    /// Finds the packages that match, best first; equal ones by stars, then by name.
    ///
    /// Any text is a valid query. When no package holds all of its words, those that hold some
    /// are found instead and [`Found::relaxed`] says so.
    ///
    /// # Errors
    /// [`IndexError::Engine`] when the index cannot be read.
    pub fn search(&self, search: &Search) -> Result<Found, IndexError> {
        let words = self.words(&search.text)?;
        if words.is_empty() && !search.text.trim().is_empty() {
            return Ok(Found::default());
        }
        let strict = self.run(search, &words, Occur::Must)?;
        if strict.total > 0 || words.len() < 2 {
            return Ok(strict);
        }
        let mut relaxed = self.run(search, &words, Occur::Should)?;
        relaxed.relaxed = relaxed.total > 0;
        Ok(relaxed)
    }

    fn run(&self, search: &Search, words: &[String], occur: Occur) -> Result<Found, IndexError> {
        let text = if words.is_empty() {
            Box::new(AllQuery)
        } else {
            ranking::query(&self.fields, &search.text, words, occur)
        };
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, text)];
        clauses.extend(
            self.filters(search)
                .into_iter()
                .map(|filter| (Occur::Must, filter)),
        );
        let query = BooleanQuery::new(clauses);
        let first = match search.order {
            Order::Best => (SortByErasedType::for_score(), tantivy::Order::Desc),
            Order::Newest => (
                SortByErasedType::for_field("published"),
                tantivy::Order::Desc,
            ),
            Order::Name => (SortByErasedType::for_field("key"), tantivy::Order::Asc),
        };
        let best = TopDocs::with_limit(search.limit.clamp(1, DEEPEST_HIT))
            .and_offset(search.first.min(DEEPEST_HIT))
            .order_by((
                first,
                SortByStaticFastValue::<u64>::for_field("stars"),
                (SortByString::for_field("key"), tantivy::Order::Asc),
            ));
        let counts = AggregationCollector::from_aggs(facet_request(), AggContextParams::default());
        let (hits, total, facets) = self
            .reader
            .searcher()
            .search(&query, &(best, Count, counts))?;
        Ok(Found {
            names: hits
                .into_iter()
                .filter_map(|((_, _, name), _)| name)
                .collect(),
            total,
            facets: facet_counts(&facets),
            relaxed: false,
        })
    }

    /// What must hold besides the text. None of it adds to the score.
    fn filters(&self, search: &Search) -> Vec<Box<dyn Query>> {
        let mut filters = Vec::new();
        for (facet, value) in &search.filters {
            filters.push(unscored(term(self.fields.facet(*facet), value)));
        }
        if let Some(namespace) = &search.namespace {
            filters.push(unscored(term(self.fields.namespace, namespace)));
        }
        if let Some(kernel) = search.kernel {
            let highest = Term::from_field_u64(self.fields.kernel, kernel);
            filters.push(unscored(Box::new(RangeQuery::new(
                Bound::Unbounded,
                Bound::Included(highest),
            ))));
        }
        if let Some(readable) = &search.readable {
            let mut either = vec![term(self.fields.visibility, schema::PUBLIC)];
            either.extend(
                readable
                    .iter()
                    .map(|namespace| term(self.fields.namespace, namespace)),
            );
            filters.push(unscored(Box::new(BooleanQuery::union(either))));
        }
        filters
    }

    fn words(&self, text: &str) -> Result<Vec<String>, IndexError> {
        let mut tokenizer = self.engine.tokenizer_for_field(self.fields.summary)?;
        let mut words = Vec::new();
        let mut stream = tokenizer.token_stream(ranking::shorten(text));
        while stream.advance() && words.len() < ranking::MOST_WORDS {
            if !words.contains(&stream.token().text) {
                words.push(stream.token().text.clone());
            }
        }
        Ok(words)
    }
}

fn open_engine(
    path: &Path,
    schema: &tantivy::schema::Schema,
) -> Result<tantivy::Index, IndexError> {
    let directory =
        tantivy::directory::MmapDirectory::open(path).map_err(tantivy::TantivyError::from)?;
    Ok(tantivy::Index::open_or_create(directory, schema.clone())?)
}

fn term(field: Field, value: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(
        Term::from_field_text(field, value),
        IndexRecordOption::Basic,
    ))
}

fn unscored(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn facet_request() -> Aggregations {
    let facets = Facet::ALL.map(|facet| {
        (
            facet.name().to_owned(),
            serde_json::json!({ "terms": { "field": facet.name(), "size": FACET_VALUES } }),
        )
    });
    serde_json::from_value(serde_json::Value::Object(facets.into_iter().collect()))
        .unwrap_or_default()
}

fn facet_counts(results: &AggregationResults) -> Vec<FacetCount> {
    let mut counts = Vec::new();
    for facet in Facet::ALL {
        let Some(AggregationResult::BucketResult(BucketResult::Terms { buckets, .. })) =
            results.0.get(facet.name())
        else {
            continue;
        };
        for bucket in buckets {
            if let Key::Str(value) = &bucket.key {
                counts.push(FacetCount {
                    facet,
                    value: value.clone(),
                    packages: bucket.doc_count,
                });
            }
        }
    }
    counts
}
