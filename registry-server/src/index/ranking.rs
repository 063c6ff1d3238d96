// SPDX-License-Identifier: Apache-2.0
//! Ranking, as a table that can be explained: where a word was found decides, and nothing a
//! publisher can inflate (length of a text, repetition, pulls) adds to it.

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, FuzzyTermQuery, Occur, Query,
    TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::Fields;

/// Most words of a query that count.
pub(super) const MOST_WORDS: usize = 12;
/// Most bytes of a query that are read.
const LONGEST_TEXT: usize = 512;
/// Shorter words are not corrected: one letter more or less would make another word of them.
const SHORTEST_CORRECTED: usize = 4;

const WHOLE_NAME: f32 = 1_000.0;
const NAME_WORD: f32 = 120.0;
const NAME_PREFIX: f32 = 100.0;
const KEYWORD: f32 = 30.0;
const SUMMARY: f32 = 8.0;
const NAME_TYPO: f32 = 5.0;
const KEYWORD_TYPO: f32 = 4.0;
const SYMBOL: f32 = 3.0;
const README: f32 = 2.0;
const SUMMARY_TYPO: f32 = 1.0;

/// Cuts a query to the part that is read, at a character's border.
pub(super) fn shorten(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Builds the query: each word scores where it is found best, the whole text once more if it is the name.
pub(super) fn query(fields: &Fields, text: &str, words: &[String], occur: Occur) -> Box<dyn Query> {
    let clauses = words
        .iter()
        .map(|word| (occur, word_query(fields, word)))
        .collect();
    let whole = Term::from_field_text(fields.exact, &shorten(text).trim().to_lowercase());
    Box::new(BooleanQuery::new(vec![
        (
            Occur::Must,
            Box::new(BooleanQuery::new(clauses)) as Box<dyn Query>,
        ),
        (Occur::Should, exact(whole, WHOLE_NAME)),
    ]))
}

fn word_query(fields: &Fields, word: &str) -> Box<dyn Query> {
    let term = |field: Field| Term::from_field_text(field, word);
    let mut places = vec![
        exact(term(fields.name), NAME_WORD),
        prefix(term(fields.name), NAME_PREFIX),
        prefix(term(fields.keywords), KEYWORD),
        prefix(term(fields.summary), SUMMARY),
        exact(term(fields.symbols), SYMBOL),
        exact(term(fields.readme), README),
    ];
    if word.chars().count() >= SHORTEST_CORRECTED {
        places.push(typo(term(fields.name), NAME_TYPO));
        places.push(typo(term(fields.keywords), KEYWORD_TYPO));
        places.push(typo(term(fields.summary), SUMMARY_TYPO));
    }
    Box::new(DisjunctionMaxQuery::new(places))
}

fn exact(term: Term, score: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(
        Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
        score,
    ))
}

fn prefix(term: Term, score: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(
        Box::new(FuzzyTermQuery::new_prefix(term, 0, true)),
        score,
    ))
}

fn typo(term: Term, score: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(
        Box::new(FuzzyTermQuery::new(term, 1, true)),
        score,
    ))
}
