//! The graph of a batch: which job waits for which.
//!
//! A job is known here by its position in the batch, so that the whole graph is four flat arrays
//! and every question about it is answered without a look-up by id.

use super::job::RequirementKind;

/// One resolved requirement: the job at `dependent` waits for the job at `required`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The position of the job that waits.
    pub dependent: u32,
    /// The position of the job it waits for.
    pub required: u32,
    /// What it waits for.
    pub kind: RequirementKind,
}

/// The other end of an edge, seen from one of its jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The position of the job at the other end.
    pub position: u32,
    /// What the dependent waits for.
    pub kind: RequirementKind,
}

/// Which side of an edge a job is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// It is required.
    Required,
    /// It waits.
    Dependent,
}

/// The edges of one batch, ready to be followed in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobGraph {
    required: Adjacency,
    dependents: Adjacency,
}

impl JobGraph {
    /// The graph of `jobs` jobs with these edges; `None` when an edge leads out of the batch.
    pub fn new(jobs: usize, edges: &[Edge]) -> Option<Self> {
        let inside = |position: u32| (position as usize) < jobs;
        if !edges.iter().all(|edge| inside(edge.dependent) && inside(edge.required)) {
            return None;
        }
        let link = |position, kind| Link { position, kind };
        Some(Self {
            required: Adjacency::new(jobs, edges, |edge| (edge.dependent, link(edge.required, edge.kind))),
            dependents: Adjacency::new(jobs, edges, |edge| (edge.required, link(edge.dependent, edge.kind))),
        })
    }

    /// The number of jobs.
    pub fn len(&self) -> usize {
        self.required.starts.len() - 1
    }

    /// Whether there are no jobs at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the job at `position` waits for.
    pub fn required(&self, position: u32) -> &[Link] {
        self.required.of(position)
    }

    /// What waits for the job at `position`.
    pub fn dependents(&self, position: u32) -> &[Link] {
        self.dependents.of(position)
    }

    /// All edges, by dependent.
    pub fn edges(&self) -> impl Iterator<Item = Edge> + '_ {
        (0..self.len() as u32).flat_map(|dependent| {
            self.required(dependent).iter().map(move |link| Edge {
                dependent,
                required: link.position,
                kind: link.kind,
            })
        })
    }

    /// The wave of every job, its topological level: 0 requires nothing, any other is one more than
    /// the highest wave it requires. Or, when jobs require each other in circles, those circles,
    /// each as the positions on it in the order in which they require each other.
    pub fn waves(&self) -> Result<Vec<u32>, Vec<Vec<u32>>> {
        let mut waiting: Vec<u32> =
            (0..self.len() as u32).map(|job| self.required(job).len() as u32).collect();
        let mut waves = vec![0; self.len()];
        let mut ready: Vec<u32> = (0..self.len() as u32).filter(|&job| waiting[job as usize] == 0).collect();
        let mut done = 0;
        while let Some(job) = ready.pop() {
            done += 1;
            for link in self.dependents(job) {
                let dependent = link.position as usize;
                waves[dependent] = waves[dependent].max(waves[job as usize] + 1);
                waiting[dependent] -= 1;
                if waiting[dependent] == 0 {
                    ready.push(link.position);
                }
            }
        }
        if done == self.len() { Ok(waves) } else { Err(self.cycles(&waiting)) }
    }

    /// The circles among the jobs that still wait. Each of those requires another one that waits, so
    /// whoever goes from any of them to the first such one, and on, ends up in a circle.
    fn cycles(&self, waiting: &[u32]) -> Vec<Vec<u32>> {
        const UNSEEN: u32 = u32::MAX;
        let mut walk_of = vec![UNSEEN; self.len()];
        let mut cycles = Vec::new();
        for start in 0..self.len() as u32 {
            let mut walk = Vec::new();
            let mut next = (waiting[start as usize] > 0).then_some(start);
            while let Some(job) = next {
                if walk_of[job as usize] == start {
                    let entry = walk.iter().position(|&seen| seen == job).unwrap_or(0);
                    cycles.push(walk.split_off(entry));
                    break;
                }
                if walk_of[job as usize] != UNSEEN {
                    break;
                }
                walk_of[job as usize] = start;
                walk.push(job);
                next = self
                    .required(job)
                    .iter()
                    .map(|link| link.position)
                    .find(|&job| waiting[job as usize] > 0);
            }
        }
        cycles
    }

    /// The positions on a longest chain of jobs that must run one after the other, first to last.
    /// No batch with these jobs can take fewer steps. `waves` is what [`Self::waves`] gave.
    pub fn critical_path(&self, waves: &[u32]) -> Vec<u32> {
        let Some(mut job) = (0..self.len() as u32).rev().max_by_key(|&job| waves[job as usize]) else {
            return Vec::new();
        };
        let mut path = vec![job];
        while let Some(link) =
            self.required(job).iter().find(|link| waves[link.position as usize] + 1 == waves[job as usize])
        {
            job = link.position;
            path.push(job);
        }
        path.reverse();
        path
    }
}

/// The links of all jobs in one array; those of job `n` lie between `starts[n]` and `starts[n + 1]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Adjacency {
    starts: Vec<u32>,
    links: Vec<Link>,
}

impl Adjacency {
    fn new(jobs: usize, edges: &[Edge], end: impl Fn(&Edge) -> (u32, Link)) -> Self {
        let mut ends: Vec<(u32, Link)> = edges.iter().map(end).collect();
        ends.sort_unstable_by_key(|(job, link)| (*job, link.position, link.kind));
        let mut starts = vec![0; jobs + 1];
        for (job, _) in &ends {
            starts[*job as usize + 1] += 1;
        }
        for job in 0..jobs {
            starts[job + 1] += starts[job];
        }
        Self { starts, links: ends.into_iter().map(|(_, link)| link).collect() }
    }

    fn of(&self, position: u32) -> &[Link] {
        let position = position as usize;
        &self.links[self.starts[position] as usize..self.starts[position + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(jobs: usize, edges: &[(u32, u32)]) -> JobGraph {
        let edges: Vec<Edge> = edges
            .iter()
            .map(|&(dependent, required)| Edge { dependent, required, kind: RequirementKind::Extract })
            .collect();
        JobGraph::new(jobs, &edges).unwrap()
    }

    #[test]
    fn a_wave_is_one_more_than_the_highest_it_requires() {
        let diamond = graph(5, &[(1, 0), (2, 0), (3, 1), (3, 2), (3, 0)]);
        assert_eq!(diamond.waves(), Ok(vec![0, 1, 1, 2, 0]));
        assert_eq!(diamond.critical_path(&[0, 1, 1, 2, 0]), [0, 1, 3]);
    }

    #[test]
    fn every_circle_is_named_once_and_whole() {
        // 0 → 1 → 2 → 0; 3 requires itself; 4 waits for a circle without being in one; 5 is free.
        let graph = graph(6, &[(0, 1), (1, 2), (2, 0), (3, 3), (4, 0), (4, 5)]);
        assert_eq!(graph.waves(), Err(vec![vec![0, 1, 2], vec![3]]));
    }

    #[test]
    fn an_edge_out_of_the_batch_is_refused() {
        let edge = Edge { dependent: 0, required: 1, kind: RequirementKind::Load };
        assert_eq!(JobGraph::new(1, &[edge]), None);
    }

    proptest! {
        #[test]
        fn waves_rise_along_every_edge_or_the_circles_are_real(
            edges in prop::collection::vec((0u32..40, 0u32..40), 0..80)
        ) {
            let graph = graph(40, &edges);
            match graph.waves() {
                Ok(waves) => {
                    for (dependent, required) in edges {
                        prop_assert!(waves[dependent as usize] > waves[required as usize]);
                    }
                    let path = graph.critical_path(&waves);
                    prop_assert_eq!(path.len() as u32, waves.iter().max().unwrap() + 1);
                    for pair in path.windows(2) {
                        prop_assert!(graph.required(pair[1]).iter().any(|link| link.position == pair[0]));
                    }
                }
                Err(cycles) => {
                    prop_assert!(!cycles.is_empty());
                    for cycle in cycles {
                        for (index, &job) in cycle.iter().enumerate() {
                            let next = cycle[(index + 1) % cycle.len()];
                            prop_assert!(edges.contains(&(job, next)));
                        }
                    }
                }
            }
        }

        #[test]
        fn a_graph_without_backward_edges_has_waves(edges in prop::collection::vec((0u32..40, 0u32..40), 0..80)) {
            let forward: Vec<(u32, u32)> = edges.into_iter().filter(|(dependent, required)| dependent > required).collect();
            prop_assert!(graph(40, &forward).waves().is_ok());
        }

        #[test]
        fn both_directions_tell_of_the_same_edges(edges in prop::collection::btree_set((0u32..20, 0u32..20), 0..60)) {
            let edges: Vec<(u32, u32)> = edges.into_iter().collect();
            let graph = graph(20, &edges);
            let forth: Vec<(u32, u32)> = graph.edges().map(|edge| (edge.dependent, edge.required)).collect();
            let mut back: Vec<(u32, u32)> = (0..20)
                .flat_map(|required| graph.dependents(required).iter().map(move |link| (link.position, required)))
                .collect();
            back.sort_unstable();
            prop_assert_eq!(&forth, &edges);
            prop_assert_eq!(&back, &edges);
        }
    }
}
