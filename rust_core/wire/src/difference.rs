//! What differs between two policies' tables: rule by rule, field by field, in the order of the page.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _};

use crate::DESCRIPTORS;
use crate::making::OVERRIDE;
use crate::pb::csroute::v1 as pb;
use crate::scenes;

/// Differences told to those who ask for them; the others are counted, rule by rule.
pub const DIFFERENCES_MAX: usize = 1000;
/// Told with an install, while routing waits.
pub const DIFFERENCES_TOLD: usize = 50;
/// Longest value told, bytes.
const SAID_BYTES_MAX: usize = 400;

/// Made at the build, from our own protos: it can be read, or nothing here could.
static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// A list of what differs, with a bound.
#[derive(Debug)]
pub struct Differences {
    /// The first.
    pub told: Vec<pb::Difference>,
    /// How many more things differ.
    pub more: u64,
    most: usize,
}

impl Differences {
    /// None, of so many that would be told.
    pub fn none(most: usize) -> Self {
        Self {
            told: Vec::new(),
            more: 0,
            most,
        }
    }

    fn full(&self) -> bool {
        self.told.len() >= self.most
    }

    fn add(&mut self, place: String, old: String, new: String) {
        if self.full() {
            self.more += 1;
            return;
        }
        let [old, new] = [old, new].map(shortened);
        self.told.push(pb::Difference {
            r#where: place,
            old,
            new,
        });
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > SAID_BYTES_MAX {
        let end = (0..=SAID_BYTES_MAX).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// What must be known of a message to compare it field by field.
fn dynamic(kind: &str, message: &impl Message) -> Option<DynamicMessage> {
    let descriptor = POOL.as_ref()?.get_message_by_name(&format!("csroute.v1.{kind}"))?;
    DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).ok()
}

/// Field by field, those of `skip` left out.
fn fields<T: Message + PartialEq>(kind: &str, place: &str, old: &T, new: &T, skip: &[&str], out: &mut Differences) {
    if old == new {
        return;
    }
    if out.full() {
        out.more += 1; // what of it differs costs more than routing may wait
        return;
    }
    let (Some(old), Some(new)) = (dynamic(kind, old), dynamic(kind, new)) else {
        return;
    };
    for field in old.descriptor().fields().filter(|field| !skip.contains(&field.name())) {
        let said = [&old, &new].map(|message| {
            let value = message.get_field(&field);
            if message.has_field(&field) {
                value.to_string()
            } else {
                String::new()
            }
        });
        let [one, other] = said;
        if one != other {
            out.add(format!("{place}: {}", field.name()), one, other);
        }
    }
}

/// Things that have names: those gone, new, changed.
fn named<T: Message + PartialEq>(
    kind: &str,
    prefix: &str,
    (old, new): (&[T], &[T]),
    name: impl Fn(&T) -> &str,
    out: &mut Differences,
    compare: impl Fn(&str, &T, &T, &mut Differences),
) {
    let by_name = |list: &'_ [T]| -> BTreeMap<String, usize> {
        list.iter()
            .enumerate()
            .map(|(at, item)| (name(item).to_owned(), at))
            .collect()
    };
    let whole = |item: &T| dynamic(kind, item).map_or_else(String::new, |message| message.to_string());
    let (mine, theirs) = (by_name(old), by_name(new));
    for item in old {
        let place = format!("{prefix}{}", name(item));
        match theirs.get(name(item)) {
            Some(&at) => compare(&place, item, &new[at], out),
            None => out.add(place, whole(item), String::new()),
        }
    }
    for item in new.iter().filter(|item| !mine.contains_key(name(item))) {
        out.add(format!("{prefix}{}", name(item)), String::new(), whole(item));
    }
    let order = |list: &[T], other: &BTreeMap<String, usize>| -> Vec<String> {
        let both = list
            .iter()
            .map(|item| name(item).to_owned())
            .filter(|name| other.contains_key(name));
        both.collect()
    };
    let (one, other) = (order(old, &theirs), order(new, &mine));
    if one != other {
        out.add(format!("{prefix}order of the page"), one.join(", "), other.join(", "));
    }
}

fn rule(place: &str, old: &pb::RuleTable, new: &pb::RuleTable, out: &mut Differences) {
    fields("RuleTable", place, old, new, &["effects"], out);
    let none = pb::Effects::default();
    let effects = |rule: &pb::RuleTable| rule.effects.clone().unwrap_or_else(|| none.clone());
    fields("Effects", place, &effects(old), &effects(new), &[], out);
}

fn layer(place: &str, old: &pb::LayerTable, new: &pb::LayerTable, out: &mut Differences) {
    fields("LayerTable", place, old, new, &["rules"], out);
    let rules = (old.rules.as_slice(), new.rules.as_slice());
    named("RuleTable", &format!("{place}."), rules, |rule| &rule.name, out, rule);
}

/// The tables with what their scenes and overrides come to made; the scenes of the policy's own stay listed.
fn as_it_is(tables: &pb::CompiledPolicy) -> pb::CompiledPolicy {
    let mut now = scenes::switched(tables.clone()).unwrap_or_else(|_| tables.clone());
    let own = |name: &str| !name.starts_with(OVERRIDE);
    let listed = tables.scenes.iter().filter(|scene| own(&scene.name));
    now.scenes = listed.cloned().collect();
    now.active_scenes = tables.active_scenes.iter().filter(|name| own(name)).cloned().collect();
    now
}

/// Every difference in what holds, scenes and overrides made. None: the same, but perhaps for how many cases were met.
/// `most` are told.
pub fn difference(old: &pb::CompiledPolicy, new: &pb::CompiledPolicy, most: usize) -> Differences {
    let (old, new) = (&as_it_is(old), &as_it_is(new));
    let mut out = Differences::none(most);
    let lists = [
        "attributes",
        "channels",
        "clocks",
        "layers",
        "defaults",
        "tables",
        "families",
        "goals",
        "reserves",
        "scenes",
        "caps",
        "cases",
        "skills",
        "format",
    ];
    fields("CompiledPolicy", "policy", old, new, &lists, &mut out);
    macro_rules! lists {
        ($($kind:literal, $prefix:literal, $list:ident, $name:ident;)*) => {$(
            named($kind, $prefix, (&old.$list, &new.$list), |item| &item.$name, &mut out, |place, old, new, out| {
                fields($kind, place, old, new, &[], out);
            });
        )*};
    }
    lists! {
        "AttributeTable", "attribute ", attributes, name;
        "HourTable", "table ", tables, name;
        "ChannelTable", "channel ", channels, name;
        "ClockTable", "clock ", clocks, name;
        "GoalTable", "goal ", goals, name;
        "OpenFamily", "family ", families, name;
        "ReserveTable", "reserve ", reserves, name;
        "CapTable", "cap by ", caps, attribute;
    }
    let layers = (old.layers.as_slice(), new.layers.as_slice());
    named("LayerTable", "", layers, |layer| &layer.name, &mut out, layer);
    let none = pb::Effects::default();
    let defaults = |tables: &pb::CompiledPolicy| tables.defaults.clone().unwrap_or_else(|| none.clone());
    fields("Effects", "defaults", &defaults(old), &defaults(new), &[], &mut out);
    let scenes = (old.scenes.as_slice(), new.scenes.as_slice());
    named(
        "SceneTable",
        "scene ",
        scenes,
        |scene| &scene.name,
        &mut out,
        |place, old, new, out| {
            fields("SceneTable", place, old, new, &[], out);
        },
    );
    out
}
