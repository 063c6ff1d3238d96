// SPDX-License-Identifier: Apache-2.0
//! Blobs as objects of an S3 bucket: `blobs/<algorithm>/<hex>`, `staging/<upload>/…` for
//! what is still arriving, `quarantine/…` for what was damaged.
//!
//! Nothing here relies on conditional requests, which some servers ignore without a word: an
//! object appears under a digest only when its bytes have been hashed, and then whoever
//! comes second replaces it by the same bytes.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use registry_schema::{Digest, digest::Hasher};
use url::Url;

use super::{Addition, Arrived, BlobError, ByteStream, Entry, Part};
use crate::clock::Random;

/// Size of a part, in bytes: S3 wants at least 5 MiB, clients send 4 MiB.
const PART: usize = 8 * 1024 * 1024;
/// How many parts of one upload are under way at a time.
const PARALLEL: usize = 2;
/// How often a request that failed is sent again.
const RETRIES: usize = 4;

/// Where the bucket is and how to get in.
#[derive(Debug, Clone)]
pub struct Place {
    /// `s3://bucket/prefix`.
    pub url: Url,
    /// The server, where it is not Amazon's.
    pub endpoint: Option<Url>,
    /// The region; many servers do not care.
    pub region: String,
    /// Key and secret; without them, those that the machine's metadata service gives.
    pub key: Option<(String, String)>,
    /// Longest wait for an answer, or for its next bytes.
    pub timeout: Duration,
}

/// The bucket. Cloning is cheap.
#[derive(Clone)]
pub struct S3 {
    bucket: Arc<AmazonS3>,
    prefix: Path,
    random: Random,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("S3")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn failed(action: &'static str) -> impl Fn(object_store::Error) -> BlobError {
    move |source| BlobError::Bucket { action, source }
}

fn is_absent(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
}

impl S3 {
    /// Connects to the bucket; no request is sent yet.
    ///
    /// # Errors
    /// [`BlobError::Place`] if the URL names no bucket; [`BlobError::Bucket`].
    pub fn open(place: &Place, random: Random) -> Result<Self, BlobError> {
        let malformed = || BlobError::Place(place.url.to_string());
        let bucket = place.url.host_str().filter(|_| place.url.scheme() == "s3");
        let prefix = Path::from_url_path(place.url.path()).map_err(|_| malformed())?;
        let client = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(5).min(place.timeout))
            // Not the whole of an answer: a large blob takes as long as its reader does.
            .with_timeout_disabled()
            .with_read_timeout(place.timeout)
            .with_allow_http(place.endpoint.as_ref().is_some_and(is_loopback));
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: place.timeout * 2,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket.ok_or_else(malformed)?)
            .with_region(&place.region)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/'));
        }
        if let Some((key, secret)) = &place.key {
            builder = builder
                .with_access_key_id(key)
                .with_secret_access_key(secret);
        }
        let bucket = builder.build().map_err(failed("opening it"))?;
        Ok(Self {
            bucket: Arc::new(bucket),
            prefix,
            random,
        })
    }

    #[expect(clippy::unused_self, reason = "the same question as to a directory")]
    pub(super) const fn writable(&self) -> bool {
        true
    }

    fn published(&self, digest: &Digest) -> Path {
        self.prefix
            .clone()
            .join("blobs")
            .join(digest.algorithm().as_str())
            .join(digest.hex())
    }

    fn staging(&self, id: &str) -> Path {
        self.prefix.clone().join("staging").join(id)
    }

    /// Stages the addition as objects of [`PART`] bytes each, the last one shorter. They
    /// count once the database names them; those of a broken request never do.
    pub(super) async fn append(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
    ) -> Result<Arrived, BlobError> {
        let mut pieces = addition.checked(arrived.bytes);
        let mut now = arrived.clone();
        // Of two requests with the same chunk, neither may write over the other's object.
        let request = hex::encode(self.random.bytes::<8>());
        loop {
            let (part, ended) = collect(&mut pieces).await?;
            let length = part.content_length() as u64;
            if length > 0 {
                let name = format!("{:020}-{request}", now.bytes);
                let object = self.staging(id).join(name.as_str());
                self.bucket
                    .put(&object, part)
                    .await
                    .map_err(failed("staging a part"))?;
                now.parts.push(Part {
                    start: now.bytes,
                    size_bytes: length,
                    object: name,
                });
                now.bytes += length;
            }
            if ended {
                return Ok(now);
            }
        }
    }

    /// Reads the staged parts again, adds the rest, and hashes it all on its way to the
    /// digest's own key, where it appears only after the digest was found right.
    pub(super) async fn publish(
        &self,
        id: &str,
        arrived: &Arrived,
        addition: Addition,
        digest: &Digest,
    ) -> Result<u64, BlobError> {
        let rest = addition.checked(arrived.bytes);
        let mut hasher = Hasher::new(digest.algorithm());
        let mut size = 0;
        let pieces = self.staged(id, &arrived.parts).chain(rest);
        let mut pieces = Box::pin(pieces.inspect_ok(|piece| {
            hasher.update(piece);
            size += piece.len() as u64;
        }));
        let key = self.published(digest);
        let (first, ended) = collect(&mut pieces).await?;
        if ended {
            drop(pieces);
            check(hasher, digest)?;
            let put = self.bucket.put(&key, first).await;
            put.map_err(failed("storing a blob"))?;
        } else {
            let upload = self.bucket.put_multipart(&key).await;
            let upload = upload.map_err(failed("beginning a blob"))?;
            let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
            first.into_iter().for_each(|piece| writer.put(piece));
            let sent = send(&mut writer, &mut pieces).await;
            drop(pieces);
            match sent.and_then(|()| check(hasher, digest)) {
                Ok(()) => drop(writer.finish().await.map_err(failed("storing a blob"))?),
                Err(error) => {
                    if let Err(left) = writer.abort().await {
                        tracing::warn!(%left, "a broken upload leaves parts in the bucket");
                    }
                    return Err(error);
                }
            }
        }
        // Some servers answer 200 and store nothing, or something else.
        match self.size(digest).await? {
            Some(actual) if actual == size => Ok(size),
            actual => Err(BlobError::Stored {
                digest: digest.clone(),
                expected: size,
                actual: actual.unwrap_or(0),
            }),
        }
    }

    /// The content of staged parts, one after the other.
    fn staged(&self, id: &str, parts: &[Part]) -> BoxStream<'static, Result<Bytes, BlobError>> {
        let (store, folder) = (self.clone(), self.staging(id));
        let parts = stream::iter(parts.to_vec()).map(Ok);
        Box::pin(
            parts
                .and_then(move |part| {
                    let (store, object) =
                        (store.clone(), folder.clone().join(part.object.as_str()));
                    async move {
                        let pieces = store.pieces(&object, 0..part.size_bytes).await;
                        let pieces = pieces.map_err(failed("reading a staged part"))?;
                        Ok(pieces.map_err(failed("reading a staged part")))
                    }
                })
                .try_flatten(),
        )
    }

    /// The bytes of a range, all of them: an answer that ends early is an error.
    async fn pieces(
        &self,
        object: &Path,
        range: Range<u64>,
    ) -> object_store::Result<BoxStream<'static, object_store::Result<Bytes>>> {
        let length = range.end - range.start;
        if length == 0 {
            return Ok(Box::pin(stream::empty()));
        }
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range.clone())));
        let answer = self.bucket.get_opts(object, options).await?;
        if answer.range != range {
            return Err(cut_short(length, answer.range.end - answer.range.start));
        }
        let state = (answer.into_stream(), length);
        Ok(Box::pin(stream::try_unfold(
            state,
            move |(mut pieces, left)| async move {
                match pieces.next().await {
                    Some(Ok(piece)) if piece.len() as u64 <= left => {
                        let left = left - piece.len() as u64;
                        Ok(Some((piece, (pieces, left))))
                    }
                    Some(Ok(piece)) => Err(cut_short(left, piece.len() as u64)),
                    Some(Err(error)) => Err(error),
                    None if left == 0 => Ok(None),
                    None => Err(cut_short(length, length - left)),
                }
            },
        )))
    }

    pub(super) async fn discard(&self, id: &str) -> Result<(), BlobError> {
        let folder = self.staging(id);
        let objects = self.bucket.list(Some(&folder)).map_ok(|meta| meta.location);
        let removed = self.bucket.delete_stream(Box::pin(objects));
        let removed = removed.filter(|done| {
            std::future::ready(done.as_ref().err().is_none_or(|error| !is_absent(error)))
        });
        removed
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .map_err(failed("discarding an upload"))
    }

    pub(super) async fn staged_ids(&self) -> Result<Vec<String>, BlobError> {
        let folder = self.prefix.clone().join("staging");
        let listed = self.bucket.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(failed("listing uploads"))?;
        let names = listed.common_prefixes.iter();
        Ok(names
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect())
    }

    pub(super) async fn read(&self, digest: &Digest, limit: u64) -> Result<Bytes, BlobError> {
        let answer = self.bucket.get(&self.published(digest)).await;
        let answer = answer.map_err(|error| missing(digest, error))?;
        if answer.meta.size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        answer.bytes().await.map_err(failed("reading a blob"))
    }

    pub(super) async fn stream(
        &self,
        digest: &Digest,
        start: u64,
        length: u64,
    ) -> Result<ByteStream, BlobError> {
        let key = self.published(digest);
        let pieces = self.pieces(&key, start..start + length).await;
        let pieces = pieces.map_err(|error| missing(digest, error))?;
        Ok(Box::pin(pieces.map_err(std::io::Error::other)))
    }

    pub(super) async fn size(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        match self.bucket.head(&self.published(digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("asking for a blob")(error)),
        }
    }

    pub(super) async fn remove(&self, digest: &Digest) -> Result<(), BlobError> {
        match self.bucket.delete(&self.published(digest)).await {
            Err(error) if !is_absent(&error) => Err(failed("removing a blob")(error)),
            _ => Ok(()),
        }
    }

    pub(super) async fn set_aside(&self, digest: &Digest) -> Result<(), BlobError> {
        let name = format!("{}-{}", digest.algorithm(), digest.hex());
        let aside = self.prefix.clone().join("quarantine").join(name.as_str());
        match self.bucket.copy(&self.published(digest), &aside).await {
            Err(error) if !is_absent(&error) => Err(failed("setting a blob aside")(error)),
            _ => self.remove(digest).await,
        }
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<Entry, BlobError>> {
        let store = self.clone();
        let folder = self.prefix.clone().join("blobs");
        let listed = store.bucket.list(Some(&folder));
        Box::pin(listed.filter_map(|meta| {
            std::future::ready(match meta {
                Ok(meta) => entry(&meta).map(Ok),
                Err(error) => Some(Err(failed("listing blobs")(error))),
            })
        }))
    }

    pub(super) async fn probe(&self) -> Result<(), BlobError> {
        let key = self.prefix.clone().join("probe");
        let put = self.bucket.put(&key, PutPayload::from_static(b"ready"));
        put.await.map_err(failed("writing")).map(drop)
    }
}

/// Whether an endpoint may be spoken to without TLS: on this machine only.
fn is_loopback(endpoint: &Url) -> bool {
    match endpoint.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn cut_short(expected: u64, actual: u64) -> object_store::Error {
    let source = std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        format!("{actual} bytes came instead of {expected}"),
    );
    object_store::Error::Generic {
        store: "S3",
        source: Box::new(source),
    }
}

fn missing(digest: &Digest, error: object_store::Error) -> BlobError {
    if is_absent(&error) {
        BlobError::Missing(digest.clone())
    } else {
        failed("reading a blob")(error)
    }
}

fn check(hasher: Hasher, digest: &Digest) -> Result<(), BlobError> {
    let actual = hasher.finish();
    if actual == *digest {
        return Ok(());
    }
    let expected = digest.clone();
    Err(BlobError::Digest { expected, actual })
}

/// An object under `blobs/` whose name is a digest.
fn entry(meta: &object_store::ObjectMeta) -> Option<Entry> {
    let parts: Vec<_> = meta.location.parts().collect();
    let [.., algorithm, hex] = parts.as_slice() else {
        return None;
    };
    let digest = format!("{}:{}", algorithm.as_ref(), hex.as_ref());
    Some(Entry {
        digest: digest.parse().ok()?,
        size_bytes: meta.size,
        modified_at: meta.last_modified,
    })
}

/// Takes up to about [`PART`] bytes; says whether that was all.
async fn collect(
    pieces: &mut (impl Stream<Item = Result<Bytes, BlobError>> + Unpin),
) -> Result<(PutPayload, bool), BlobError> {
    let (mut part, mut length) = (Vec::new(), 0);
    while length < PART {
        match pieces.next().await {
            Some(piece) => {
                let piece = piece?;
                length += piece.len();
                part.push(piece);
            }
            None => return Ok((part.into_iter().collect(), true)),
        }
    }
    Ok((part.into_iter().collect(), false))
}

async fn send(
    writer: &mut WriteMultipart,
    pieces: &mut (impl Stream<Item = Result<Bytes, BlobError>> + Unpin),
) -> Result<(), BlobError> {
    while let Some(piece) = pieces.next().await {
        let waited = writer.wait_for_capacity(PARALLEL).await;
        waited.map_err(failed("storing a blob"))?;
        writer.put(piece?);
    }
    Ok(())
}
