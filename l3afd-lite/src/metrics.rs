// SPDX-License-Identifier: Apache-2.0
//! Measurements in OpenMetrics text: the daemon's own, and those that packages declare.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use registry_schema::manifest::{Metric, MetricKind};

use crate::agent::{Agent, AgentError, Package, Status, lock};
use crate::kernel::{Entry, Kernel, MapAddress, MapOwner};
use crate::wanted::Member;

/// What the daemon counts about itself, since it was started.
#[derive(Debug, Default)]
pub struct Counters {
    generations: AtomicU64,
    mended: AtomicU64,
    refused: Mutex<BTreeMap<String, u64>>,
}

impl Counters {
    pub(crate) fn generations(&self) {
        self.generations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn mended(&self) {
        self.mended.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, reason: &str) {
        *lock(&self.refused).entry(reason.to_owned()).or_default() += 1;
    }
}

/// Families in the order of their names: each is written once, with all its samples.
#[derive(Default)]
struct Page {
    families: BTreeMap<String, Family>,
}

struct Family {
    kind: &'static str,
    help: String,
    samples: Vec<(String, u64)>,
}

impl Page {
    /// Adds a sample. Names of counters carry `_total`, as OpenMetrics wants it.
    fn add(
        &mut self,
        name: &str,
        kind: MetricKind,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        let (kind, name) = match kind {
            MetricKind::Counter => ("counter", name.strip_suffix("_total").unwrap_or(name)),
            MetricKind::Gauge => ("gauge", name),
        };
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
            .collect();
        let family = self.families.entry(name.to_owned());
        let family = family.or_insert_with(|| Family {
            kind,
            help: escape(help),
            samples: Vec::new(),
        });
        family.samples.push((labels.join(","), value));
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in &self.families {
            let _ = writeln!(
                text,
                "# TYPE {name} {}\n# HELP {name} {}",
                family.kind, family.help
            );
            let suffix = if family.kind == "counter" {
                "_total"
            } else {
                ""
            };
            for (labels, value) in &family.samples {
                let _ = writeln!(text, "{name}{suffix}{{{labels}}} {value}");
            }
        }
        text + "# EOF\n"
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

impl<K: Kernel> Agent<K> {
    /// All measurements as one page.
    ///
    /// # Errors
    /// [`AgentError::Kernel`] if the pins cannot be read. A package's map that cannot be
    /// read leaves its samples out and raises `l3afd_lite_unreadable_metrics`.
    pub fn metrics(&self) -> Result<String, AgentError> {
        let status = self.status()?;
        let mut page = Page::default();
        self.own(&mut page, &status);
        Self::programs(&mut page, &status);
        let unreadable = self.declared(&mut page, &status);
        let help = "Declared metrics whose map cannot be read";
        page.add(
            "l3afd_lite_unreadable_metrics",
            MetricKind::Gauge,
            help,
            &[],
            unreadable,
        );
        Ok(page.render())
    }

    fn own(&self, page: &mut Page, status: &Status) {
        let counters = self.counters();
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let count = MetricKind::Counter;
        page.add(
            "l3afd_lite_info",
            MetricKind::Gauge,
            "The daemon",
            &[("version", &status.version)],
            1,
        );
        let help = "Generations that became the running one";
        page.add(
            "l3afd_lite_generations_total",
            count,
            help,
            &[],
            number(&counters.generations),
        );
        let help = "Chains that somebody else had changed and that were put right";
        page.add(
            "l3afd_lite_mended_total",
            count,
            help,
            &[],
            number(&counters.mended),
        );
        for (reason, times) in lock(&counters.refused).iter() {
            let help = "Packages and chains that were refused";
            page.add(
                "l3afd_lite_refused_total",
                count,
                help,
                &[("reason", reason)],
                *times,
            );
        }
    }

    fn programs(page: &mut Page, status: &Status) {
        for chain in &status.chains {
            let netns = chain.place.netns.as_deref().unwrap_or_default();
            let hook = chain.place.hook.as_str();
            let place = [
                ("interface", chain.place.interface.as_str()),
                ("netns", netns),
                ("hook", hook),
            ];
            let running = u64::from(chain.state == "running");
            page.add(
                "l3afd_lite_chain_running",
                MetricKind::Gauge,
                "Whether the chain runs whole",
                &place,
                running,
            );
            for program in &chain.programs {
                let position = program.position.to_string();
                let mut labels = place.to_vec();
                labels.extend([
                    ("package", program.package.as_str()),
                    ("version", &program.version),
                    ("function", &program.function),
                    ("position", &position),
                ]);
                let help = "Packets a program of a chain has seen";
                page.add(
                    "l3afd_lite_program_runs_total",
                    MetricKind::Counter,
                    help,
                    &labels,
                    program.runs,
                );
                let unsigned = u64::from(program.signer.is_none());
                let help = "Whether the program is of an unsigned package";
                page.add(
                    "l3afd_lite_program_unsigned",
                    MetricKind::Gauge,
                    help,
                    &labels,
                    unsigned,
                );
                let help = "Whether the program's package was revoked";
                page.add(
                    "l3afd_lite_program_revoked",
                    MetricKind::Gauge,
                    help,
                    &labels,
                    u64::from(program.revoked.is_some()),
                );
                let help =
                    "Whether something is out of date by which the program's package was accepted";
                page.add(
                    "l3afd_lite_program_stale",
                    MetricKind::Gauge,
                    help,
                    &labels,
                    u64::from(program.stale.is_some()),
                );
                for (verdict, packets) in &program.ends {
                    let mut labels = labels.clone();
                    labels.push(("verdict", verdict));
                    let help =
                        "Packets whose way through the running generation ended at a program";
                    page.add(
                        "l3afd_lite_chain_ends",
                        MetricKind::Gauge,
                        help,
                        &labels,
                        *packets,
                    );
                }
            }
        }
    }

    /// Adds what packages declare; tells how many metrics could not be read.
    fn declared(&self, page: &mut Page, status: &Status) -> u64 {
        let journal = self.journal();
        let mut unreadable = 0;
        let mut read = |owner: MapOwner, place: &[(&str, &str)], members: Vec<&Member>| {
            let mut done = Vec::new();
            for member in members {
                let Some(package) = self.known_package(member) else {
                    continue;
                };
                let used = package
                    .verified
                    .profile
                    .programs
                    .iter()
                    .find(|program| program.function == member.function);
                let used = |map: &str| {
                    used.is_none_or(|program| program.maps.iter().any(|name| name == map))
                };
                for metric in package
                    .verified
                    .manifest
                    .metrics
                    .iter()
                    .filter(|metric| used(&metric.map.name))
                {
                    let once = (member.instance.clone(), metric.name.clone());
                    if done.contains(&once) {
                        continue;
                    }
                    done.push(once);
                    let address = MapAddress {
                        owner: owner.clone(),
                        instance: member.instance.clone(),
                        map: metric.map.name.clone(),
                    };
                    if self
                        .sample(page, &package, member, metric, &address, place)
                        .is_none()
                    {
                        unreadable += 1;
                    }
                }
            }
        };
        for chain in &status.chains {
            let Some(number) = chain.generation else {
                continue;
            };
            let record = journal
                .chain(&chain.place)
                .and_then(|record| record.generations.iter().find(|r| r.number == number));
            let members =
                record.map(|record| record.members.iter().map(|loaded| &loaded.member).collect());
            let netns = chain.place.netns.as_deref().unwrap_or_default();
            let hook = chain.place.hook.as_str();
            let place = [
                ("interface", chain.place.interface.as_str()),
                ("netns", netns),
                ("hook", hook),
            ];
            read(
                MapOwner::Chain(chain.place.clone()),
                &place,
                members.unwrap_or_default(),
            );
        }
        for (name, record) in &journal.probes {
            read(
                MapOwner::Probe(name.clone()),
                &[("probe", name)],
                vec![&record.loaded.member],
            );
        }
        unreadable
    }

    fn sample(
        &self,
        page: &mut Page,
        package: &Package,
        member: &Member,
        metric: &Metric,
        address: &MapAddress,
        place: &[(&str, &str)],
    ) -> Option<()> {
        let field = field(package, metric)?;
        let (title, version) = (member.package.to_string(), member.version.to_string());
        let name = format!("{}_{}", title.replace(['/', '-', '.'], "_"), metric.name);
        let mut add = |label: Option<&str>, value: u64| {
            let mut labels = vec![("package", title.as_str()), ("version", &version)];
            labels.extend_from_slice(place);
            labels.extend(metric.map.label.as_deref().zip(label));
            page.add(&name, metric.kind, &metric.help, &labels, value);
        };
        if let Some(key) = metric.map.key {
            let entries = self.kernel().read_map(address, Some(&[key])).ok()?;
            add(None, entries.first().map_or(0, |entry| sum(entry, field)));
            return Some(());
        }
        for (label, key) in &metric.map.keys {
            let entries = self.kernel().read_map(address, Some(&[*key])).ok()?;
            add(
                Some(label),
                entries.first().map_or(0, |entry| sum(entry, field)),
            );
        }
        if metric.map.keys.is_empty() {
            for entry in self.kernel().read_map(address, None).ok()? {
                add(Some(&key_text(&entry.key)), sum(&entry, field));
            }
        }
        Some(())
    }
}

/// Offset and width of the number in a map's value.
fn field(package: &Package, metric: &Metric) -> Option<(usize, usize)> {
    let map = package
        .verified
        .profile
        .maps
        .iter()
        .find(|map| map.name == metric.map.name)?;
    match &metric.map.field {
        None => Some((0, (map.value_size as usize).min(8))),
        Some(path) => {
            let field = map.value_fields.iter().find(|field| field.path == *path)?;
            Some((field.offset as usize, field.size as usize))
        }
    }
}

/// The number of an entry, over all CPUs.
fn sum(entry: &Entry, (offset, size): (usize, usize)) -> u64 {
    let number = |value: &Vec<u8>| {
        let mut bytes = [0; 8];
        let found = value.get(offset..offset + size)?;
        bytes[..size].copy_from_slice(found);
        Some(u64::from_le_bytes(bytes))
    };
    entry
        .values
        .iter()
        .filter_map(number)
        .fold(0, u64::wrapping_add)
}

/// A key as a label: text where it is text, else a number, else hexadecimal digits.
fn key_text(key: &[u8]) -> String {
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    let (text, rest) = key.split_at(end);
    if key.len() > 8
        && !text.is_empty()
        && rest.iter().all(|byte| *byte == 0)
        && text.iter().all(u8::is_ascii_graphic)
    {
        return String::from_utf8_lossy(text).into_owned();
    }
    if key.len() <= 8 {
        let mut bytes = [0; 8];
        bytes[..key.len()].copy_from_slice(key);
        return u64::from_le_bytes(bytes).to_string();
    }
    hex::encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_each_family_once_and_ends() {
        let mut page = Page::default();
        let labels = [("interface", "eth\"0")];
        page.add("x_total", MetricKind::Counter, "what\nit is", &labels, 1);
        page.add("x_total", MetricKind::Counter, "what it is", &[], 2);
        page.add("a", MetricKind::Gauge, "first", &[], u64::MAX);
        let expected = "# TYPE a gauge\n# HELP a first\na{} 18446744073709551615\n# TYPE x counter\n# HELP x what\\nit is\nx_total{interface=\"eth\\\"0\"} 1\nx_total{} 2\n# EOF\n";
        assert_eq!(page.render(), expected);
    }

    #[test]
    fn values_of_all_cpus_are_one_number() {
        let values = vec![vec![0, 0, 1, 0, 0, 0], vec![0, 0, 255, 1, 0, 0]];
        let entry = Entry {
            key: vec![7],
            values,
        };
        assert_eq!(sum(&entry, (2, 4)), 512);
        assert_eq!(sum(&entry, (4, 4)), 0, "beyond the value");
    }

    #[test]
    fn keys_are_readable() {
        assert_eq!(key_text(b"bash\0\0\0\0\0\0\0\0\0\0\0\0"), "bash");
        assert_eq!(key_text(&[80, 0]), "80");
        assert_eq!(key_text(&[0xff; 9]), "ffffffffffffffffff");
    }
}
