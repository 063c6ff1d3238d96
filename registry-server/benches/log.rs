// SPDX-License-Identifier: Apache-2.0
//! The publish log with 100,000 entries: how fast entries come in, and proofs out.
//!
//! Prints what this machine did; nothing here passes or fails by time.

use std::time::Instant;

use anyhow::{Context as _, Result};
use registry_schema::{
    Digest, PackageName, Version,
    api::Visibility,
    transparency::{Change, Proof, SignedCheckpoint, merkle},
};
use registry_server::{
    Config,
    app::App,
    clock::{Clock, Random},
    service::{access::Caller, log, namespace},
};

/// Entries that come together, [`TOGETHER`] in a transaction.
const BULK: u32 = 96_000;
const TOGETHER: u32 = 1000;
/// Writers that each wait until their one entry is in the log, and how many they write.
const WRITERS: u32 = 64;
const EACH: u32 = 62;
/// Proofs that are asked for, of every so manyth entry.
const PROOFS: u32 = 1000;
const STEP: u32 = BULK / PROOFS;

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let addr = "127.0.0.1:5000".parse()?;
    let config = Config::local(dir.path());
    let opened = registry_server::open(config, addr, Clock::system(), Random::system());
    let (app, _) = Box::pin(opened).await?;
    let demo = "demo".parse()?;
    namespace::create(&app, &Caller::console(), &demo, Visibility::Public).await?;

    let began = Instant::now();
    for at in 0..BULK / TOGETHER {
        write(&app, at * TOGETHER..(at + 1) * TOGETHER).await?;
    }
    rate("log: entries, 1000 in a transaction", BULK, began);

    let began = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let app = app.clone();
        tokio::spawn(async move {
            let first = BULK + writer * EACH;
            for number in first..first + EACH {
                write(&app, number..number + 1).await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer??;
    }
    rate(
        "log: entries, each acknowledged to one of 64 writers",
        WRITERS * EACH,
        began,
    );

    let began = Instant::now();
    let mut bytes = 0;
    for number in 0..PROOFS {
        let proof = proof(&app, number * STEP).await?;
        bytes += proof.to_string().len();
    }
    let (each, size) = (began.elapsed() / PROOFS, log::detail(&app).await?.size);
    println!(
        "log: a proof out of {size} entries: {each:?}, {} bytes",
        bytes / PROOFS as usize
    );

    let proof = proof(&app, 0).await?;
    let began = Instant::now();
    for _ in 0..PROOFS {
        let signed = SignedCheckpoint::open(proof.checkpoint.as_bytes(), app.log.verifier())?;
        let (leaf, said) = (
            proof.extra.as_deref().context("an entry")?,
            signed.checkpoint(),
        );
        let leaf = merkle::leaf(leaf);
        merkle::check_inclusion(leaf, proof.index, said.size, &proof.path, &said.root)?;
    }
    println!(
        "log: check of a proof and its signature: {:?}",
        began.elapsed() / PROOFS
    );

    let began = Instant::now();
    let whole = log::verify::verify(&app.db, app.log.verifier()).await?;
    let whole = whole.map_err(|broken| anyhow::anyhow!("{broken}"));
    // The versions of this log are in no catalogue.
    if let Ok(whole) = whole {
        rate(
            "log: entries checked by `log verify`",
            u32::try_from(whole.entries)?,
            began,
        );
    }
    app.db.close().await;
    Ok(())
}

fn rate(what: &str, number: u32, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {:.0} a second", f64::from(number) / seconds);
}

fn names(number: u32) -> Result<(PackageName, Version)> {
    Ok(("demo/pass".parse()?, format!("1.0.{number}").parse()?))
}

/// The proof of the publication with a number.
async fn proof(app: &App, number: u32) -> Result<Proof> {
    let (package, version) = names(number)?;
    let caller = Caller::console();
    Ok(log::proof(app, &caller, &package, &version, log::Event::Publish).await?)
}

/// Says that versions were yanked, or of some that they were published, and waits until the
/// log says it.
async fn write(app: &App, numbers: std::ops::Range<u32>) -> Result<()> {
    let mut tx = app.db.begin().await?;
    for number in numbers {
        let (package, version) = names(number)?;
        let change = if number.is_multiple_of(STEP) {
            let digest = Digest::sha256(b"index");
            let signatures = Vec::new();
            Change::Publish {
                package,
                version,
                digest,
                signatures,
            }
        } else {
            Change::Yank { package, version }
        };
        log::say(app, &mut tx, change).await?;
    }
    tx.commit().await?;
    log::settle(app).await;
    Ok(())
}
