//! Random requests of gateways, agents and operators, the same for the same seed.

use csroute_wire::Method;
use csroute_wire::pb::csroute::v1 as pb;
use csroute_wire::pb::csroute::v1::agent_action::Action;
use prost::Message;

#[path = "../../../engine/tests/walk/rng.rs"]
mod rng;
pub use rng::Rng;

/// Offers that expire, wrap-up, a step, a clock with a warning, short memories: every kind of timer comes up in seconds.
pub fn policy(name: &str) -> pb::CompiledPolicy {
    let test = |value: &str| pb::Condition {
        node: Some(pb::condition::Node::Test(pb::Test {
            attribute: "queue".into(),
            op: pb::test::Op::In.into(),
            values: vec![value.into()],
        })),
    };
    let offered = pb::Effects {
        offer: Some(pb::OfferTable {
            ttl_ms: 700,
            away_on_expiry: false,
        }),
        head_start_ms: 5000,
        ..pb::Effects::default()
    };
    let rest = pb::Effects {
        wrap_up_ms: Some(300),
        decline_exclude_ms: Some(400),
        steps: vec![pb::StepTable {
            age_ms: 900,
            boost_ms: 2000,
            alert: "late".into(),
            ..pb::StepTable::default()
        }],
        affinity: Some(pb::AffinityTable {
            owner_keep_ms: 600,
            ..pb::AffinityTable::default()
        }),
        clocks: vec![pb::ClockUse {
            clock: "answer".into(),
            mode: pb::clock_use::Mode::Within.into(),
            target_ms: 1500,
            warnings_ms: vec![1000],
        }],
        ..pb::Effects::default()
    };
    let scene = |(name, head_start_ms): (&str, i64)| pb::SceneTable {
        name: name.into(),
        changes: vec![pb::ChangeTable {
            layer: "queue".into(),
            rule: "vip".into(),
            fields: vec!["head_start".into()],
            effects: Some(pb::Effects {
                head_start_ms,
                ..pb::Effects::default()
            }),
            wake: false,
        }],
        ..pb::SceneTable::default()
    };
    let mut gold = test("gold");
    if let Some(pb::condition::Node::Test(test)) = &mut gold.node {
        test.attribute = "hour".into();
    }
    pb::CompiledPolicy {
        format: 1,
        name: name.into(),
        attributes: vec![pb::AttributeTable {
            name: "queue".into(),
            ..pb::AttributeTable::default()
        }],
        channels: vec![pb::ChannelTable {
            name: "chat".into(),
            cost: 20,
            limit: 3,
        }],
        clocks: vec![pb::ClockTable {
            name: "answer".into(),
            starts: "arrival".into(),
            stops: "assignment".into(),
            ..pb::ClockTable::default()
        }],
        layers: vec![pb::LayerTable {
            name: "queue".into(),
            every: false,
            rules: vec![
                pb::RuleTable {
                    name: "gold".into(),
                    when: Some(gold),
                    effects: Some(pb::Effects {
                        head_start_ms: 8000,
                        ..pb::Effects::default()
                    }),
                    ..pb::RuleTable::default()
                },
                pb::RuleTable {
                    name: "vip".into(),
                    when: Some(test("vip")),
                    effects: Some(offered),
                    ..pb::RuleTable::default()
                },
                pb::RuleTable {
                    name: "rest".into(),
                    effects: Some(rest),
                    ..pb::RuleTable::default()
                },
            ],
        }],
        limits: Some(pb::LimitsTable {
            closed_keep_ms: 3000,
            ..pb::LimitsTable::default()
        }),
        lost_grace_ms: 500,
        suspend_ms: 800,
        tables: vec![pb::HourTable {
            name: "hour".into(),
            attribute: "queue".into(),
            values: vec!["gold".into(), "tin".into()],
            keys_max: 100,
        }],
        caps: vec![pb::CapTable {
            attribute: "queue".into(),
            waiting_max: 50,
            own: Vec::new(),
        }],
        scenes: [("surge", 9000), ("calm", 100)].map(scene).into(),
        ..pb::CompiledPolicy::default()
    }
}

/// One request.
pub struct Asked {
    pub tenant: &'static str,
    pub method: Method,
    pub request: Vec<u8>,
}

/// An endless day of two tenants, and of a third that only comes and goes.
#[derive(Clone)]
pub struct Load {
    pub rng: Rng,
    tickets: [u64; 2],
    begun: usize,
}

const TENANTS: [&str; 2] = ["left", "right"];
const AGENTS: u64 = 6;

impl Load {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            tickets: [0; 2],
            begun: 0,
        }
    }

    /// The ticket of a number, as it is sent each time.
    pub fn ticket(number: u64) -> pb::NewTicket {
        let queue = if number.is_multiple_of(3) { "vip" } else { "rest" };
        pb::NewTicket {
            id: format!("t{number}"),
            channel: "chat".into(),
            source: format!("g{}", number % 2),
            customer: format!("c{}", number % 17),
            attributes: vec![pb::Attribute {
                name: "queue".into(),
                value: queue.into(),
                confidence_milli: None,
            }],
            ..pb::NewTicket::default()
        }
    }

    fn some_ticket(&mut self, of: usize) -> String {
        let back = self.rng.below(12);
        format!("t{}", self.tickets[of].saturating_sub(back))
    }

    fn agent(&mut self) -> String {
        format!("a{}", self.rng.below(AGENTS))
    }

    fn action(&mut self, of: usize) -> Action {
        let (ticket, agent, attempt) = (self.some_ticket(of), self.agent(), 1 + self.rng.below(2) as u32);
        let (session, reason) = ("desk".to_owned(), String::new());
        let presence = 1 + self.rng.below(4) as i32;
        match self.rng.below(20) {
            0..4 => Action::Login(pb::LoginRequest {
                session,
                agent,
                presence: 1,
                reason,
            }),
            4 => Action::SetPresence(pb::SetPresenceRequest {
                session,
                agent,
                presence,
                reason,
            }),
            5..9 => Action::Accept(pb::AcceptRequest {
                ticket,
                attempt,
                context: Vec::new(),
            }),
            9 => Action::Decline(pb::DeclineRequest {
                ticket,
                attempt,
                reason,
            }),
            10 => Action::EndWrapUp(pb::EndWrapUpRequest { ticket, attempt }),
            11 => Action::PauseClock(pb::PauseClockRequest {
                ticket,
                clock: "answer".into(),
            }),
            12 => Action::Transfer(pb::TransferRequest {
                ticket,
                attempt,
                to: Some(pb::transfer_request::To::Queue("vip".into())),
            }),
            13 => Action::RenewLease(pb::RenewLeaseRequest { session }),
            _ => Action::Complete(pb::CompleteRequest {
                ticket,
                attempt,
                outcome: String::new(),
                context: Vec::new(),
            }),
        }
    }

    /// What those ask who answer for the rules.
    fn of_policies(&mut self) -> (Method, Vec<u8>) {
        let reclassify = self.rng.chance(50);
        let expected = self.rng.chance(20).then(|| self.rng.below(30));
        match self.rng.below(6) {
            0 => {
                let request = pb::ApplyRequest {
                    policy: policy(["first", "second", "third"][self.rng.below(3) as usize]).encode_to_vec(),
                    source: "as written".into(),
                    expected,
                    reclassify,
                    dry_run: self.rng.chance(10),
                    ..pb::ApplyRequest::default()
                };
                (Method::PolicyApply, request.encode_to_vec())
            }
            1 => {
                let scenes = ["surge", "calm", "flood"].map(str::to_owned);
                let scenes = scenes.into_iter().filter(|_| self.rng.chance(40)).collect();
                let request = pb::ActivateSceneRequest {
                    scenes,
                    reclassify,
                    expected,
                    ..pb::ActivateSceneRequest::default()
                };
                (Method::PolicyScene, request.encode_to_vec())
            }
            2 => {
                let request = pb::RollbackRequest {
                    number: 1 + self.rng.below(40),
                    reclassify,
                    expected,
                    ..pb::RollbackRequest::default()
                };
                (Method::PolicyRollback, request.encode_to_vec())
            }
            3 => {
                let request = pb::OverrideRequest {
                    undo: 1 + self.rng.below(40),
                    reclassify,
                    ..pb::OverrideRequest::default()
                };
                (Method::PolicyOverride, request.encode_to_vec())
            }
            4 => {
                let head_start = pb::override_change::HeadStart {
                    rule: ["vip", "queue", "nobody"][self.rng.below(3) as usize].into(),
                    head_start_ms: self.rng.below(3000) as i64,
                    relative: self.rng.chance(50),
                };
                let request = pb::OverrideRequest {
                    changes: vec![pb::OverrideChange {
                        change: Some(pb::override_change::Change::HeadStart(head_start)),
                    }],
                    duration_ms: 1000 + self.rng.below(3000) as i64,
                    reclassify,
                    ..pb::OverrideRequest::default()
                };
                (Method::PolicyOverride, request.encode_to_vec())
            }
            _ => {
                let entry = |key: &str, value: &str| pb::TableEntry {
                    key: key.into(),
                    value: value.into(),
                };
                let value = ["", "gold", "tin"][self.rng.below(3) as usize];
                let request = pb::SetTableRequest {
                    table: "hour".into(),
                    entries: vec![entry("vip", value), entry("other", "gold")],
                    replace: self.rng.chance(30),
                    reclassify,
                    ..pb::SetTableRequest::default()
                };
                (Method::PolicySetTable, request.encode_to_vec())
            }
        }
    }

    fn opening(&mut self) -> Option<Asked> {
        let (at, tenant) = (self.begun / TENANTS.len(), TENANTS[self.begun % TENANTS.len()]);
        self.begun += 1;
        let (method, request) = match at {
            0 => (
                Method::InstallPolicy,
                pb::InstallPolicyRequest {
                    policy: policy("first").encode_to_vec(),
                    reclassify: false,
                    ..pb::InstallPolicyRequest::default()
                }
                .encode_to_vec(),
            ),
            1 => {
                let agent = |number| pb::AgentSpec {
                    id: format!("a{number}"),
                    ..pb::AgentSpec::default()
                };
                let agents = (0..AGENTS).map(agent).collect();
                (Method::UpsertAgents, pb::UpsertAgentsRequest { agents }.encode_to_vec())
            }
            2 => (
                Method::OpenSession,
                pb::OpenSessionRequest {
                    session: "desk".into(),
                    lease_ms: 10_000,
                }
                .encode_to_vec(),
            ),
            _ => return None,
        };
        Some(Asked {
            tenant,
            method,
            request,
        })
    }

    /// The next request.
    pub fn next(&mut self) -> Asked {
        if let Some(asked) = self.opening() {
            return asked;
        }
        let of = self.rng.below(2) as usize;
        let tenant = TENANTS[of];
        let (method, request) = match self.rng.below(100) {
            0..15 => {
                let tickets: Vec<_> = (0..=self.rng.below(2))
                    .map(|_| {
                        self.tickets[of] += u64::from(!self.rng.chance(10)); // now and then one again
                        Self::ticket(self.tickets[of])
                    })
                    .collect();
                (
                    Method::RouteBatch,
                    pb::RouteBatchRequest { tickets, tag: 1 }.encode_to_vec(),
                )
            }
            15..20 => {
                self.tickets[of] += 1;
                let ticket = Some(Self::ticket(self.tickets[of]));
                (Method::Route, pb::RouteRequest { ticket, wait_ms: 0 }.encode_to_vec())
            }
            20..75 => {
                let actions = (0..=self.rng.below(8))
                    .map(|tag| pb::AgentAction {
                        action: Some(self.action(of)),
                        tag,
                    })
                    .collect();
                (Method::Act, pb::ActRequest { actions }.encode_to_vec())
            }
            75..80 => {
                let id = self.some_ticket(of);
                (
                    Method::Cancel,
                    pb::CancelRequest {
                        id,
                        reason: "left".into(),
                    }
                    .encode_to_vec(),
                )
            }
            80..82 => (
                Method::Suspend,
                pb::SuspendRequest {
                    id: self.some_ticket(of),
                }
                .encode_to_vec(),
            ),
            82..86 => {
                let session = "desk".to_owned();
                (
                    Method::OpenSession,
                    pb::OpenSessionRequest {
                        session,
                        lease_ms: 10_000,
                    }
                    .encode_to_vec(),
                )
            }
            86..88 => {
                let name = ["first", "second"][self.rng.below(2) as usize];
                let request = pb::InstallPolicyRequest {
                    policy: policy(name).encode_to_vec(),
                    reclassify: true,
                    slice: self.rng.below(3) as u32,
                    ..pb::InstallPolicyRequest::default()
                };
                (Method::InstallPolicy, request.encode_to_vec())
            }
            88..91 => self.of_policies(),
            91..92 => (
                Method::Drain,
                pb::DrainRequest {
                    on: self.rng.chance(30),
                }
                .encode_to_vec(),
            ),
            92..93 => {
                // One that holds nothing: it is given back when it was idle.
                let renew = pb::RenewLeaseRequest { session: "none".into() };
                return Asked {
                    tenant: "passer-by",
                    method: Method::RenewLease,
                    request: renew.encode_to_vec(),
                };
            }
            93..96 => (Method::ListTickets, pb::ListTicketsRequest::default().encode_to_vec()),
            _ => (
                Method::GetStats,
                pb::GetStatsRequest { with_state_hash: true }.encode_to_vec(),
            ),
        };
        Asked {
            tenant,
            method,
            request,
        }
    }
}
