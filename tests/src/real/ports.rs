//! A block of ports for each cluster, laid out once and for all.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;

use super::LaunchError;

/// The block of ports that a cluster has on 127.0.0.1.
///
/// | offset | for |
/// |---|---|
/// | 0..=2 | brokers 1 to 3, PLAINTEXT |
/// | 3..=5 | their controllers (KRaft) |
/// | 6 | ZooKeeper |
/// | 7..=9, 10..=12, 13..=15 | kept for SSL, SASL_PLAINTEXT and SASL_SSL |
/// | 19 | held by a launcher as its claim on the block while it starts a cluster |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports(u16);

impl Ports {
    /// How many ports a block has.
    pub const SIZE: u16 = 20;

    /// Below the ports that Linux gives to outgoing connections (32768 up).
    const SEARCHED: RangeInclusive<u16> = 19_100..=31_980;
    const CLAIM: u16 = 19;

    /// The block that begins here: 1024 to 65516.
    pub fn new(base: u16) -> Result<Self, LaunchError> {
        let last = u16::MAX - (Self::SIZE - 1);
        if (1024..=last).contains(&base) { Ok(Self(base)) } else { Err(LaunchError::PortRange(base)) }
    }

    /// The first port.
    pub fn base(self) -> u16 {
        self.0
    }

    /// The PLAINTEXT port of broker `id` (from 1).
    pub fn broker(self, id: u16) -> u16 {
        self.0 + id - 1
    }

    /// The controller port of broker `id` (from 1).
    pub fn controller(self, id: u16) -> u16 {
        self.0 + 2 + id
    }

    /// ZooKeeper's client port.
    pub fn zookeeper(self) -> u16 {
        self.0 + 6
    }

    /// Claims this block, if nobody else has a port of it.
    pub(super) fn claim(self) -> Result<Claim, LaunchError> {
        let guard = bind(self.0 + Self::CLAIM)?;
        for offset in 0..Self::CLAIM {
            bind(self.0 + offset)?;
        }
        Ok(Claim { ports: self, _guard: guard })
    }

    /// Claims the first free block that overlaps none of `taken` (clusters that are down but may come back).
    pub(super) fn claim_any(taken: &[Self]) -> Result<Claim, LaunchError> {
        let blocks = Self::SEARCHED.step_by(usize::from(Self::SIZE)).map(Self);
        for ports in blocks.filter(|ports| !taken.iter().any(|other| other.overlaps(*ports))) {
            match ports.claim() {
                Err(LaunchError::PortTaken { .. }) => {}
                done => return done,
            }
        }
        Err(LaunchError::NoFreePorts { first: *Self::SEARCHED.start(), last: *Self::SEARCHED.end() })
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.0.abs_diff(other.0) < Self::SIZE
    }
}

/// A block that no other launcher takes as long as this value lives.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) ports: Ports,
    _guard: TcpListener,
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn bind(port: u16) -> Result<TcpListener, LaunchError> {
    TcpListener::bind(loopback(port)).map_err(|_| LaunchError::PortTaken { port })
}
