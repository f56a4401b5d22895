//! A policy, checked and indexed: what its rules say of a ticket's attributes. No Python runs per ticket, and few rules
//! are looked at: each layer is entered by the value of the attribute that most of its rules test.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::facts::Facts;
use crate::policy::{CapSpec, Condition, Effects, Op, PolicySpec};
use crate::soundness::{check, invalid};
use crate::{Code, Rejection};

/// An attribute's value in a ticket: 0 missing, 1 none that the policy names, else the named one + 2.
pub(crate) type Value = u32;
pub(crate) const MISSING: Value = 0;
const UNNAMED: Value = 1;

/// A ticket's values, by attribute number: channel, customer, then those declared.
pub(crate) type Values = SmallVec<[Value; 12]>;
const CHANNEL: u16 = 0;
const CUSTOMER: u16 = 1;

/// A rule that applies: layer and place in it.
pub(crate) type RuleAt = (u8, u16);
pub(crate) type Applied = SmallVec<[RuleAt; 6]>;

#[derive(Debug)]
enum Test {
    In(u16, Vec<Value>),
    NotIn(u16, Vec<Value>),
    Present(u16),
    Missing(u16),
    All(Vec<Test>),
    Any(Vec<Test>),
}

impl Test {
    fn holds(&self, values: &[Value]) -> bool {
        match self {
            Test::In(attribute, named) => named.contains(&values[*attribute as usize]),
            Test::NotIn(attribute, named) => {
                let value = values[*attribute as usize];
                value != MISSING && !named.contains(&value)
            }
            Test::Present(attribute) => values[*attribute as usize] != MISSING,
            Test::Missing(attribute) => values[*attribute as usize] == MISSING,
            Test::All(tests) => tests.iter().all(|test| test.holds(values)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(values)),
        }
    }

    /// The values of `attribute` without which this cannot hold, if it says so.
    fn guard(&self, attribute: u16) -> Option<Vec<Value>> {
        match self {
            Test::In(tested, named) if *tested == attribute => Some(named.clone()),
            Test::All(tests) => tests.iter().find_map(|test| test.guard(attribute)),
            Test::Any(tests) => {
                let all: Option<Vec<_>> = tests.iter().map(|test| test.guard(attribute)).collect();
                all.map(|guards| guards.concat())
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Layer {
    every: bool,
    /// A test a rule; None always holds.
    rules: Vec<Option<Test>>,
    /// The attribute by whose value the layer is entered, and the rules to look at for each value.
    entry: Option<(u16, Vec<Vec<u16>>)>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) spec: Arc<PolicySpec>,
    attributes: FxHashMap<SmolStr, u16>,
    values: Vec<FxHashMap<SmolStr, Value>>,
    layers: Vec<Layer>,
    /// By table: the attribute whose value is the key.
    keys: Vec<u16>,
    /// By cap: the values with one of their own.
    own_caps: Vec<FxHashMap<SmolStr, u32>>,
}

impl Tables {
    /// Checks a policy whole and indexes it.
    pub(crate) fn new(spec: Arc<PolicySpec>) -> Result<Self, Rejection> {
        check(&spec)?;
        let mut attributes = FxHashMap::default();
        let mut values = Vec::new();
        let builtin = [
            (
                "channel",
                spec.channels.iter().map(|channel| &channel.name).collect::<Vec<_>>(),
            ),
            ("customer", vec![]),
        ];
        let declared = spec
            .attributes
            .iter()
            .map(|attribute| (attribute.name.as_str(), attribute.values.iter().collect()));
        let hour = spec.tables.iter();
        let hour = hour.map(|table| (table.name.as_str(), table.values.iter().collect()));
        for (name, named) in builtin.into_iter().chain(declared).chain(hour) {
            if attributes.insert(SmolStr::new(name), values.len() as u16).is_some() {
                return Err(invalid(name, "the attribute is declared twice"));
            }
            values.push(
                named
                    .into_iter()
                    .enumerate()
                    .map(|(at, value)| (value.clone(), at as Value + 2))
                    .collect(),
            );
        }
        let first_table = 2 + spec.attributes.len();
        let attribute_of = |name: &SmolStr, what: &str| {
            let number = attributes.get(name).filter(|&&number| (number as usize) < first_table);
            number
                .copied()
                .ok_or_else(|| invalid(what, format!("{name:?} is no attribute that is declared")))
        };
        let keys = spec
            .tables
            .iter()
            .map(|table| attribute_of(&table.attribute, &table.name));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        for cap in &spec.caps {
            attribute_of(&cap.attribute, "caps")?;
        }
        let own_caps = spec.caps.iter().map(|cap| cap.own.iter().cloned().collect());
        let mut tables = Self {
            own_caps: own_caps.collect(),
            keys,
            attributes,
            values,
            layers: Vec::new(),
            spec: Arc::clone(&spec),
        };
        for layer in &spec.layers {
            let rules = layer
                .rules
                .iter()
                .map(|rule| {
                    let place = format!("{}.{}", layer.name, rule.name);
                    rule.when.as_ref().map(|when| tables.test(&place, when)).transpose()
                })
                .collect::<Result<Vec<_>, _>>()?;
            tables.layers.push(Layer {
                every: layer.every,
                rules,
                entry: None,
            });
        }
        for at in 0..tables.layers.len() {
            tables.layers[at].entry = tables.entry(&tables.layers[at]);
        }
        Ok(tables)
    }

    fn test(&mut self, place: &str, condition: &Condition) -> Result<Test, Rejection> {
        let list = |tables: &mut Self, conditions: &[Condition]| {
            conditions
                .iter()
                .map(|condition| tables.test(place, condition))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::All(conditions) => Test::All(list(self, conditions)?),
            Condition::Any(conditions) => Test::Any(list(self, conditions)?),
            Condition::Test { attribute, op, values } => {
                let Some(&number) = self.attributes.get(attribute) else {
                    return Err(invalid(
                        place,
                        format!("tests the attribute {attribute:?}, which is not declared"),
                    ));
                };
                let closed = self.allowed(number).is_some_and(|values| !values.is_empty());
                let named = &mut self.values[number as usize];
                let mut codes = Vec::with_capacity(values.len());
                for value in values {
                    let next = named.len() as Value + 2;
                    match named.get(value) {
                        Some(&code) => codes.push(code),
                        None if closed || number == CHANNEL => {
                            return Err(invalid(
                                place,
                                format!("{attribute} is never {value:?}: it is not among its values"),
                            ));
                        }
                        None => {
                            named.insert(value.clone(), next);
                            codes.push(next);
                        }
                    }
                }
                match op {
                    Op::In => Test::In(number, codes),
                    Op::NotIn => Test::NotIn(number, codes),
                    Op::Present => Test::Present(number),
                    Op::Missing => Test::Missing(number),
                }
            }
        })
    }

    /// The values that an attribute or a table may have; empty: any.
    fn allowed(&self, number: u16) -> Option<&[SmolStr]> {
        let at = (number as usize).checked_sub(2)?;
        let table = || {
            self.spec
                .tables
                .get(at - self.spec.attributes.len())
                .map(|table| &table.values)
        };
        let attribute = self.spec.attributes.get(at).map(|attribute| &attribute.values);
        attribute.or_else(table).map(Vec::as_slice)
    }

    /// Caps, with the values that have one of their own.
    pub(crate) fn caps(&self) -> impl Iterator<Item = (&CapSpec, &FxHashMap<SmolStr, u32>)> {
        self.spec.caps.iter().zip(&self.own_caps)
    }

    fn entry(&self, layer: &Layer) -> Option<(u16, Vec<Vec<u16>>)> {
        if layer.rules.len() < 8 {
            return None;
        }
        let guards = |attribute: u16| -> Vec<Option<Vec<Value>>> {
            layer
                .rules
                .iter()
                .map(|test| test.as_ref().and_then(|test| test.guard(attribute)))
                .collect()
        };
        let (_, attribute) = (0..self.values.len() as u16)
            .map(|attribute| (guards(attribute).iter().flatten().count(), attribute))
            .max_by_key(|&(count, attribute)| (count, std::cmp::Reverse(attribute)))?;
        let guards = guards(attribute);
        let codes = self.values[attribute as usize].len() + 2;
        let mut by_value: Vec<Vec<u16>> = vec![Vec::new(); codes];
        for (rule, guard) in guards.iter().enumerate() {
            match guard {
                None => by_value.iter_mut().for_each(|rules| rules.push(rule as u16)),
                Some(named) => {
                    for &code in named {
                        if by_value[code as usize].last() != Some(&(rule as u16)) {
                            by_value[code as usize].push(rule as u16);
                        }
                    }
                }
            }
        }
        Some((attribute, by_value))
    }

    /// What the policy sees of a ticket, in the channel of this place; None: the policy has not got it. `strict`: required
    /// attributes and closed values are checked.
    pub(crate) fn read<'a>(
        &'a self,
        channel: Option<usize>,
        customer: &'a str,
        attributes: impl Iterator<Item = (&'a str, &'a str, u16)>,
        facts: &Facts,
        strict: bool,
    ) -> Result<Values, Rejection> {
        let mut values: Values = SmallVec::from_elem(MISSING, self.values.len());
        let code = |attribute: u16, value: &str| self.values[attribute as usize].get(value).copied().unwrap_or(UNNAMED);
        values[CHANNEL as usize] = channel.map_or(UNNAMED, |place| place as Value + 2);
        if !customer.is_empty() {
            values[CUSTOMER as usize] = code(CUSTOMER, customer);
        }
        let mut keys: SmallVec<[Option<&str>; 4]> = SmallVec::from_elem(None, self.keys.len());
        let mut key = |attribute: u16, value: &'a str| {
            for (table, _) in self.keys.iter().enumerate().filter(|(_, of)| **of == attribute) {
                keys[table] = Some(value);
            }
        };
        if let Some(place) = channel {
            key(CHANNEL, &self.spec.channels[place].name);
        }
        if !customer.is_empty() {
            key(CUSTOMER, customer);
        }
        let mut seen: u128 = 0;
        let mut usual = self.spec.attributes.iter().zip(2..);
        for (name, value, confidence_milli) in attributes {
            // Most senders name them in the order declared.
            let number = match usual.next() {
                Some((declared, number)) if declared.name == name => number,
                _ => match self.attributes.get(name) {
                    Some(&number) => number,
                    None => continue,
                },
            };
            // "channel" and "customer" are fields; as attributes they say nothing.
            let Some(declared) = (number as usize)
                .checked_sub(2)
                .and_then(|at| self.spec.attributes.get(at))
            else {
                continue;
            };
            let code = code(number, value);
            if strict && code == UNNAMED && !declared.values.is_empty() {
                let allowed = declared.values.join(", ");
                return Err(Rejection::about(
                    Code::UnknownValue,
                    name,
                    format!("{name} is {value:?}; the policy knows {allowed}"),
                ));
            }
            seen |= 1 << number;
            if confidence_milli >= declared.threshold_milli {
                values[number as usize] = code;
                key(number, value);
            }
        }
        for (at, found) in keys.iter().enumerate() {
            if let Some(said) = found.and_then(|key| facts.of(&self.spec.tables[at].name, key)) {
                let number = (2 + self.spec.attributes.len() + at) as u16;
                values[number as usize] = code(number, said);
            }
        }
        if strict {
            for (at, declared) in self.spec.attributes.iter().enumerate() {
                if declared.required && seen >> (at + 2) & 1 == 0 {
                    let name = declared.name.clone();
                    return Err(Rejection::about(
                        Code::FieldMissing,
                        name.clone(),
                        format!("the policy requires the attribute {name}"),
                    ));
                }
            }
        }
        Ok(values)
    }

    /// The rules that apply. `moved` replaces its layer's.
    pub(crate) fn classify(&self, values: &[Value], moved: Option<RuleAt>) -> Applied {
        let mut applied = Applied::new();
        for (at, layer) in self.layers.iter().enumerate() {
            if let Some((moved_layer, rule)) = moved
                && moved_layer as usize == at
            {
                applied.push((moved_layer, rule));
                continue;
            }
            let before = applied.len();
            let otherwise = layer.rules.len() as u16 - 1;
            let mut look = |rule: u16| {
                let holds = layer.rules[rule as usize]
                    .as_ref()
                    .is_none_or(|test| test.holds(values));
                let counts = holds && (!layer.every || rule != otherwise || applied.len() == before);
                if counts {
                    applied.push((at as u8, rule));
                }
                counts && !layer.every
            };
            match &layer.entry {
                Some((attribute, by_value)) => by_value[values[*attribute as usize] as usize]
                    .iter()
                    .any(|&rule| look(rule)),
                None => (0..=otherwise).any(look),
            };
        }
        applied
    }

    /// What a rule gives.
    pub(crate) fn effects(&self, (layer, rule): RuleAt) -> &Effects {
        &self.spec.layers[layer as usize].rules[rule as usize].effects
    }

    /// The first layer's rule of this name: a queue.
    pub(crate) fn queue(&self, name: &str) -> Option<RuleAt> {
        self.rule(0, name)
    }

    pub(crate) fn rule(&self, layer: u8, name: &str) -> Option<RuleAt> {
        let rules = &self.spec.layers[layer as usize].rules;
        rules
            .iter()
            .position(|rule| rule.name == name)
            .map(|rule| (layer, rule as u16))
    }

    /// A channel's place in the policy.
    pub(crate) fn channel_place(&self, name: &str) -> Option<usize> {
        self.spec.channels.iter().position(|channel| channel.name == name)
    }

    /// A channel of the policy.
    pub(crate) fn channel(&self, name: &str) -> Option<&crate::policy::ChannelSpec> {
        self.spec.channels.iter().find(|channel| channel.name == name)
    }

    /// Whether a guess of this confidence counts for a declared attribute.
    pub(crate) fn counts(&self, name: &str, confidence_milli: u16) -> bool {
        let declared = self.spec.attributes.iter().find(|attribute| attribute.name == name);
        declared.is_none_or(|attribute| confidence_milli >= attribute.threshold_milli)
    }

    /// Whether an update keeps this attribute's old value when its new guess is below the threshold.
    pub(crate) fn sticky(&self, name: &str, confidence_milli: u16) -> bool {
        self.attributes
            .get(name)
            .and_then(|&number| (number as usize).checked_sub(2))
            .and_then(|at| self.spec.attributes.get(at))
            .is_some_and(|declared| declared.sticky && confidence_milli < declared.threshold_milli)
    }
}
