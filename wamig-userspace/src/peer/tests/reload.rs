//! Peers that come, go and change while the sessions run.

use super::*;

impl Running {
    async fn change(&self, peers: &[PeerConfig]) {
        self.changer.adopt(self.changer.prepare(peers, TIMERS).expect("good peers")).await;
    }
}

#[tokio::test]
async fn a_peer_comes_and_goes_and_the_other_s_session_stays() {
    let [dc1, dc2, dc3] = ["dc1", "dc2", "dc3"].map(Site::new);
    let mut one = dc1.start(vec![dc2.as_peer()]).await;
    let mut two = dc2.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
    let mut three = dc3.start(vec![dc1.as_peer()]).await;
    three.until_down(DownReason::RefusedCertificate).await;

    one.change(&[dc2.as_peer(), dc3.as_peer()]).await;
    let seen = one.until_up("dc3").await;
    let of_dc2 =
        |e: &PeerEvent| matches!(e, PeerEvent::Up { site, .. } | PeerEvent::Down { site, .. } if site == "dc2");
    assert!(!seen.iter().any(of_dc2), "{seen:?}");
    three.until_up("dc1").await;

    one.change(&[dc2.as_peer()]).await;
    let seen = one.until(|e| matches!(e, PeerEvent::Down { .. })).await;
    let gone = PeerEvent::Down {
        site: "dc3".to_owned(),
        reason: DownReason::Reconfigured,
        detail: "by this site's configuration".to_owned(),
    };
    assert_eq!(seen.last(), Some(&gone));
    three.until(|e| matches!(e, PeerEvent::Down { .. })).await;
    three.until_down(DownReason::RefusedCertificate).await;

    one.send("dc2", numbered(1)).await;
    assert_eq!(two.message().await, numbered(1), "dc2 has noticed nothing of it");
}

#[tokio::test]
async fn a_certificate_is_exchanged_and_the_old_one_is_of_no_use_any_more() {
    let (dc1, old) = (Site::new("dc1"), Site::new("dc2"));
    let new = Site { address: old.address, ..Site::new("dc2") };
    let mut one = dc1.start(vec![old.as_peer()]).await;
    let mut two = old.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;

    one.change(&[new.as_peer()]).await;
    one.until_down(DownReason::Reconfigured).await;
    one.until_down(DownReason::WrongCertificate).await;
    two.stop().await;
    let mut two = new.start(vec![dc1.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
    one.send("dc2", numbered(1)).await;
    assert_eq!(two.message().await, numbered(1));
}

#[tokio::test]
async fn an_endpoint_is_corrected() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let mut one = dc1.start(vec![nowhere(dc2.as_peer())]).await;
    one.until_down(DownReason::ConnectionRefused).await;
    // dc2 cannot reach dc1.
    let mut two = dc2.start(vec![nowhere(dc1.as_peer())]).await;
    one.change(&[dc2.as_peer()]).await;
    one.until_up("dc2").await;
    two.until_up("dc1").await;
}

#[tokio::test]
async fn what_could_not_be_at_the_start_cannot_be_later() {
    let (dc1, dc2) = (Site::new("dc1"), Site::new("dc2"));
    let one = dc1.start(vec![dc2.as_peer()]).await;
    let own = PeerConfig { fingerprint: dc1.identity.fingerprint(), ..dc2.as_peer() };
    let refused = one.changer.prepare(&[own], TIMERS).expect_err("its own certificate").to_string();
    assert!(refused.starts_with("[[peer]] dc2: the fingerprint is of this site's own certificate"), "{refused}");
}
