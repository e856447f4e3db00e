//! Decides which addresses a server may refer to.
//!
//! A function can reach what others cannot: its own runtime on the loopback, the instance metadata on link-local
//! addresses, and whatever its VPC has. A server that refers to another URL must not make the function send requests
//! there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far inside the network an address is, the outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// An address on the internet.
    Public,
    /// An address of the private network.
    Private,
    /// An address of this machine.
    Loopback,
    /// An address that no git host has: link-local ones, and those of AWS's services inside an instance.
    Forbidden,
}

impl Reach {
    /// Returns whether a server at an address of this reach may refer to an address of the reach `other`.
    pub(crate) fn may_lead_to(self, other: Self) -> bool {
        other != Self::Forbidden && other <= self
    }

    /// Describes the reach for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::Loopback => "an address of the function itself",
            Self::Forbidden => "a link-local or metadata address",
        }
    }
}

/// Returns the reach of an address.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => embedded_v4(address).map_or_else(|| reach_v6(address), reach_v4),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [first, second, ..] = address.octets();
    if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
        return Reach::Forbidden;
    }
    // Linux sends what is for 0.0.0.0 to the loopback.
    if address.is_loopback() || first == 0 {
        return Reach::Loopback;
    }
    // 100.64.0.0/10 is for carriers, and AWS uses it in VPCs too; 198.18.0.0/15 is for benchmarks.
    let shared = first == 100 && second & 0xc0 == 64 || first == 198 && second & 0xfe == 18;
    if address.is_private() || shared || first >= 240 {
        return Reach::Private;
    }
    Reach::Public
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    // fd00:ec2::/32 has the instance metadata, the resolver, the clock and the credentials of pods.
    let aws = segments[..2] == [0xfd00, 0x0ec2];
    if aws || address.is_unicast_link_local() || address.is_multicast() {
        return Reach::Forbidden;
    }
    if address.is_loopback() || address.is_unspecified() {
        return Reach::Loopback;
    }
    // fec0::/10 has the former site-local addresses.
    if address.is_unique_local() || segments[0] & 0xffc0 == 0xfec0 {
        return Reach::Private;
    }
    Reach::Public
}

/// Returns the IPv4 address that is embedded in an IPv6 address: mapped (`::ffff:0:0/96`), compatible (`::/96`), by
/// NAT64 (`64:ff9b::/96` and `64:ff9b:1::/48`), or by 6to4 (`2002::/16`).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // :: and ::1 have meanings of their own in IPv6.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(from(high, low)),
        [0x64, 0xff9b, 0 | 1, _, _, _, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classified() {
        for (expected, addresses) in [
            (
                Reach::Forbidden,
                vec![
                    "169.254.169.254",
                    "169.254.170.2",
                    "169.254.100.1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "fe80::1",
                    "febf::1",
                    "fd00:ec2::254",
                    "fd00:ec2::23",
                    "::ffff:169.254.169.254",
                    "::169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::1",
                    "ff02::1",
                ],
            ),
            (
                Reach::Loopback,
                vec![
                    "127.0.0.1",
                    "127.9.9.9",
                    "0.0.0.0",
                    "0.1.2.3",
                    "::1",
                    "::",
                    "::ffff:127.0.0.1",
                ],
            ),
            (
                Reach::Private,
                vec![
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "100.127.0.1",
                    "198.19.0.1",
                    "240.0.0.1",
                    "fd12::1",
                    "fc00::1",
                    "fec0::1",
                    "::ffff:10.0.0.1",
                ],
            ),
            (
                Reach::Public,
                vec![
                    "1.1.1.1",
                    "172.32.0.1",
                    "100.128.0.1",
                    "198.20.0.1",
                    "52.216.1.1",
                    "2600:1f18::1",
                    "::ffff:1.1.1.1",
                    "64:ff9b::101:101",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
            }
        }
    }

    #[test]
    fn a_server_may_not_refer_further_inside_than_it_is_itself() {
        use Reach::{Forbidden, Loopback, Private, Public};
        assert!(Public.may_lead_to(Public) && !Public.may_lead_to(Private) && !Public.may_lead_to(Loopback));
        assert!(
            Private.may_lead_to(Public) && Private.may_lead_to(Private) && !Private.may_lead_to(Loopback)
        );
        assert!(
            Loopback.may_lead_to(Public) && Loopback.may_lead_to(Private) && Loopback.may_lead_to(Loopback)
        );
        for from in [Public, Private, Loopback, Forbidden] {
            assert!(!from.may_lead_to(Forbidden));
        }
    }
}
