//! Who leads a partition when nodes go and come back, and what that does to its log.
//!
//! Replicas share one log, so a replica "has" the records up to where it was when it stopped: all of them
//! while in sync, up to the stall while replication is stalled, up to its fall otherwise. Electing it cuts
//! the log there.

use super::producers::Producers;
use super::topics::Partition;
use crate::broker::config::NodeId;
use crate::broker::release::Release;

impl Partition {
    /// The node stopped. True if the leader changed.
    pub(crate) fn node_down(
        &mut self,
        node: NodeId,
        alive: impl Fn(NodeId) -> bool,
        unclean: bool,
        release: Release,
    ) -> bool {
        let high_watermark = self.high_watermark();
        let replicated = self.replicated();
        let was_leader = self.leader == Some(node);
        if self.isr.contains(&node) && self.isr.len() > 1 {
            self.isr.retain(|member| *member != node);
            let reached = if was_leader { self.log.end_offset() } else { replicated };
            self.fell_behind.insert(node, reached);
        }
        if !was_leader {
            return false;
        }
        // Followers have what was replicated, unless nobody is left but the one that died.
        let elected = self.clean_candidate(&alive).map(|next| (next, replicated));
        let elected = elected.or_else(|| unclean.then(|| self.unclean_candidate(&alive)).flatten());
        match elected {
            Some((next, reached)) => {
                if reached < high_watermark {
                    self.lost.push((reached, high_watermark));
                }
                self.truncate(reached, release);
                self.isr.retain(|member| alive(*member) || *member == next);
                self.lead(next);
            }
            None => self.leader = None,
        }
        true
    }

    /// The node is back, with the log it had. True if the leader changed.
    pub(crate) fn node_up(&mut self, node: NodeId, unclean: bool, release: Release) -> bool {
        if !self.replicas.contains(&node) {
            return false;
        }
        if self.leader.is_none() && (unclean || self.isr.contains(&node)) {
            let reached = self.fell_behind.get(&node).copied().unwrap_or(i64::MAX);
            if reached < self.log.end_offset() {
                self.lost.push((reached, self.log.end_offset()));
            }
            self.truncate(reached, release);
            self.lead(node);
            return true;
        }
        if self.leader.is_some() {
            // It drops what the leader does not have and fetches the rest, at once.
            self.join_isr(node);
        }
        false
    }

    /// Gives the leadership to a replica that is in sync.
    pub(crate) fn move_to(&mut self, node: NodeId, release: Release) -> bool {
        if !self.isr.contains(&node) {
            return false;
        }
        if self.leader != Some(node) {
            self.truncate(self.replicated(), release);
            self.lead(node);
        }
        true
    }

    /// Gives the leadership to a replica that lacks the last records.
    pub(crate) fn elect_unclean(&mut self, node: NodeId, lost: i64, release: Release) {
        let (start, end) = (self.log.start_offset(), self.log.end_offset());
        let wanted = (self.high_watermark() - lost).max(start);
        // Replicas have whole batches.
        let reached =
            self.log.entries_from(wanted).next().map_or(wanted, |entry| entry.base_offset.min(wanted));
        self.lost.push((reached.max(start), end));
        self.truncate(reached.max(start), release);
        self.lead(node);
    }

    fn lead(&mut self, node: NodeId) {
        self.leader = Some(node);
        self.leader_epoch += 1;
        self.log.begin_epoch(self.leader_epoch);
        (self.stalled_at, self.followers_have_all) = (None, false);
        if !self.isr.contains(&node) {
            self.isr = vec![node];
        }
        self.fell_behind.remove(&node);
    }

    fn join_isr(&mut self, node: NodeId) {
        let high_watermark = self.high_watermark();
        if !self.isr.contains(&node) {
            self.isr.push(node);
        }
        // It has what the leader has by now: a high watermark never goes back.
        self.stalled_at = self.stalled_at.map(|at| at.max(high_watermark));
        self.fell_behind.remove(&node);
    }

    fn truncate(&mut self, to: i64, release: Release) {
        if to < self.log.end_offset() {
            self.log.truncate(to);
            self.producers = Producers::rebuild(self.log.entries(), release);
        }
    }

    fn clean_candidate(&self, alive: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        self.replicas.iter().copied().find(|node| self.isr.contains(node) && alive(*node))
    }

    fn unclean_candidate(&self, alive: impl Fn(NodeId) -> bool) -> Option<(NodeId, i64)> {
        let node = self.replicas.iter().copied().find(|node| alive(*node))?;
        Some((node, self.fell_behind.get(&node).copied().unwrap_or_default()))
    }
}
