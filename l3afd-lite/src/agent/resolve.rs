// SPDX-License-Identifier: Apache-2.0
//! From names to digests: every reference is fetched and verified, every function
//! chosen, every parameter encoded, before anything is planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use registry_client::trust::{TrustStore, TrustedRoot};
use registry_client::verify::{self as signature, Asked, Basis};
use registry_schema::manifest::{ParameterValue, Program};
use registry_schema::{Digest, Reference};

use super::{Agent, AgentError, lock};
use crate::clock;
use crate::desired::{ChainSpec, ProbeSpec};
use crate::fetch::{Ask, Origin};
use crate::kernel::Kernel;
use crate::parameter::settings;
use crate::place::Place;
use crate::verify::{Request, Verified, VerifyError, functions, verify};
use crate::wanted::{Member, WantedChain, WantedProbe};

/// A package that was fetched and holds; with the bytes, so that they can be verified
/// again right before they are loaded.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) request: Request,
    pub(crate) verified: Verified,
}

/// A wish down to digests, and the packages it needs, one per member.
pub(crate) struct Resolved<T> {
    pub(crate) wanted: T,
    pub(crate) packages: Vec<Arc<Package>>,
}

impl<K: Kernel> Agent<K> {
    /// Finds the package behind a reference, and decides whether it may run here.
    pub(crate) async fn package(
        &self,
        reference: &Reference,
        ask: Ask,
    ) -> Result<Arc<Package>, AgentError> {
        let key = self.key(reference)?;
        if ask == Ask::Kept
            && let Some(package) = lock(&self.packages).get(&key)
        {
            return Ok(Arc::clone(package));
        }
        let last = lock(&self.journal).resolved.get(&key).cloned();
        let fetched = self.fetcher.fetch(reference, last.as_ref(), ask).await?;
        if let Origin::Kept(Some(why)) = &fetched.origin {
            tracing::warn!(%reference, "{why}");
        }
        let trust = self
            .refresh(&fetched.asked.registry, &fetched.origin)
            .await?;
        let basis = self.basis(&fetched.asked, &fetched.package.digest(), trust)?;
        let mut request = Request {
            fetched: fetched.package,
            asked: fetched.asked,
            basis,
        };
        let online = fetched.origin == Origin::Registry;
        let mut verified = verify(&request);
        if let Err(VerifyError::Signature(signature::VerifyError::Rollback { actual, .. })) =
            &verified
            && online
        {
            self.fetcher.add_withdrawals(&mut request, actual).await?;
            verified = verify(&request);
        }
        let verified =
            verified.inspect_err(|error| self.note_refusal(&request.fetched.digest(), error))?;
        let mut log_size = None;
        if online {
            log_size = self.fetcher.confirm_log(&request, &self.memory).await?;
        }
        self.note_stale(&verified.digest, &verified.stale);
        self.memory.remember(
            &request.asked,
            &verified.manifest.package.version,
            &verified.digest,
            log_size,
        )?;
        self.fetcher.keep(&request.fetched);
        let package = Arc::new(Package { request, verified });
        lock(&self.journal)
            .resolved
            .insert(key.clone(), package.verified.digest.clone());
        lock(&self.packages).insert(key, Arc::clone(&package));
        Ok(package)
    }

    /// Brings what is pinned of a registry up to date: from where the bytes of a package
    /// were, as far as that can be reached. Gives what is trusted then.
    pub(super) async fn refresh(
        &self,
        registry: &str,
        origin: &Origin,
    ) -> Result<TrustStore, AgentError> {
        let mut trust = self.config.trust()?;
        let refreshed = self
            .fetcher
            .refresh(registry, &mut trust, &self.memory, origin)
            .await;
        for problem in refreshed.problems {
            tracing::warn!(registry, "{problem}");
        }
        if refreshed.root.is_some()
            && let Err(error) = self.config.keep_trust(&trust)
        {
            // It counts all the same; the next start will have to ask again.
            tracing::warn!(registry, "the new trust root was not kept: {error}");
        }
        Ok(trust)
    }

    /// A reference with its registry, so that it has one spelling.
    pub(super) fn key(&self, reference: &Reference) -> Result<String, AgentError> {
        let mut whole = reference.clone();
        whole.registry = Some(self.fetcher.host(reference)?);
        Ok(whole.to_string())
    }

    /// What the decision about a package with the index `digest` rests on.
    pub(super) fn basis(
        &self,
        asked: &Asked,
        digest: &Digest,
        trust: TrustStore,
    ) -> Result<Basis, AgentError> {
        let root = trust.root_of(&asked.registry).map(TrustedRoot::signed);
        let mut memory = self.memory.recall(&asked.registry, &asked.package, root)?;
        // Accepted here before, by whatever reference to the same registry.
        let here = format!("{}/", asked.registry);
        let accepted = |(key, known): (&String, &Digest)| known == digest && key.starts_with(&here);
        let installed = lock(&self.journal).resolved.iter().any(accepted);
        memory.installed = installed.then(|| digest.clone());
        Ok(Basis {
            trust,
            policy: self.config.policy()?,
            memory,
            now: clock::now(),
        })
    }

    pub(crate) async fn resolve_chain(
        &self,
        place: &Place,
        spec: &ChainSpec,
        ask: Ask,
    ) -> Result<Resolved<WantedChain>, AgentError> {
        let mut members: Vec<Member> = Vec::new();
        let mut packages = Vec::new();
        for program in &spec.programs {
            let package = self.package(&program.package, ask).await?;
            let chosen = choose(&package.verified, place, program.function.as_deref())?;
            let mut member = member(&package.verified, chosen, &program.parameters)?;
            member.proceed_on = match &program.proceed_on {
                Some(verdicts) => verdicts.clone(),
                None if chosen.proceed_on.is_empty() => spec
                    .hook
                    .default_proceed_on()
                    .iter()
                    .map(|verdict| (*verdict).to_owned())
                    .collect(),
                None => chosen.proceed_on.clone(),
            };
            let same = |other: &&Member| {
                other.package == member.package && other.function == member.function
            };
            let earlier = members.iter().filter(same).count();
            if earlier > 0 {
                member.instance = format!("{}+{earlier}", member.instance);
            }
            members.push(member);
            packages.push(package);
        }
        Ok(Resolved {
            wanted: WantedChain {
                mode: spec.mode,
                members,
            },
            packages,
        })
    }

    pub(crate) async fn resolve_probe(
        &self,
        spec: &ProbeSpec,
        ask: Ask,
    ) -> Result<Resolved<WantedProbe>, AgentError> {
        let package = self.package(&spec.package, ask).await?;
        let verified = &package.verified;
        let chosen = choose_probe(verified, spec.function.as_deref())?;
        let section = || {
            let profile = verified
                .profile
                .programs
                .iter()
                .find(|program| program.function == chosen.function);
            profile.and_then(|program| program.suggested_attach.clone())
        };
        let attach =
            chosen
                .attach
                .clone()
                .or_else(section)
                .ok_or_else(|| AgentError::NoAttachPoint {
                    package: verified.manifest.package.name.clone(),
                    function: chosen.function.clone(),
                })?;
        let member = member(verified, chosen, &spec.parameters)?;
        Ok(Resolved {
            wanted: WantedProbe { attach, member },
            packages: vec![package],
        })
    }
}

fn member(
    verified: &Verified,
    program: &Program,
    parameters: &BTreeMap<String, ParameterValue>,
) -> Result<Member, AgentError> {
    let settings = settings(&verified.manifest, &verified.profile, parameters)?;
    let package = &verified.manifest.package;
    Ok(Member {
        package: package.name.clone(),
        version: package.version.clone(),
        digest: verified.digest.clone(),
        object: verified.object.clone(),
        signer: verified.signer.clone(),
        function: program.function.clone(),
        instance: package.name.to_string(),
        proceed_on: Vec::new(),
        globals: settings.globals,
        entries: settings.entries,
    })
}

/// The program that is meant: the one that is named, or the only one for the hook.
fn choose<'a>(
    verified: &'a Verified,
    place: &Place,
    function: Option<&str>,
) -> Result<&'a Program, AgentError> {
    let manifest = &verified.manifest;
    let package = || manifest.package.name.clone();
    let no_program = || AgentError::NoProgram {
        package: package(),
        place: place.clone(),
        known: functions(manifest),
    };
    if let Some(function) = function {
        let program = manifest
            .programs
            .iter()
            .find(|program| program.function == function);
        let program = program.ok_or_else(no_program)?;
        if !program.hooks().contains(&place.hook) {
            return Err(AgentError::WrongHook {
                package: package(),
                function: function.to_owned(),
                actual: program.program_type.to_string(),
                hook: place.hook.to_string(),
            });
        }
        return Ok(program);
    }
    let fitting: Vec<_> = manifest
        .programs
        .iter()
        .filter(|program| program.hooks().contains(&place.hook))
        .collect();
    only(&fitting, verified, place.hook.as_str())?.ok_or_else(no_program)
}

fn choose_probe<'a>(
    verified: &'a Verified,
    function: Option<&str>,
) -> Result<&'a Program, AgentError> {
    let manifest = &verified.manifest;
    let named = |program: &&Program| function.is_none_or(|function| program.function == function);
    let probes: Vec<_> = manifest
        .programs
        .iter()
        .filter(|program| !program.program_type.chains())
        .filter(named)
        .collect();
    only(&probes, verified, "a probe")?.ok_or_else(|| AgentError::Verify {
        error: Box::new(VerifyError::NoProgram {
            package: manifest.package.name.clone(),
            function: function
                .unwrap_or("a program that attaches by itself")
                .to_owned(),
            known: functions(manifest),
        }),
    })
}

fn only<'a>(
    programs: &[&'a Program],
    verified: &Verified,
    hook: &str,
) -> Result<Option<&'a Program>, AgentError> {
    if programs.len() < 2 {
        return Ok(programs.first().copied());
    }
    let names: Vec<_> = programs
        .iter()
        .map(|program| format!("`{}`", program.function))
        .collect();
    Err(AgentError::SeveralPrograms {
        package: verified.manifest.package.name.clone(),
        hook: hook.to_owned(),
        known: names.join(", "),
    })
}
