//! The processes that an MPI launcher (`mpirun`) started to make one run together.

use std::env;

use retinanet_train::run::{Alone, Reduce};

use crate::exit::{Failure, Outcome};
#[cfg(feature = "mpi")]
use crate::voice;
use crate::voice::complain;

/// Where launchers write how many processes they started: Open MPI; MPICH, Intel MPI and Slurm's `srun`; MVAPICH.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// This process among those of the run. Its end is the end of the connection to the others.
pub struct Ranks {
    #[cfg(feature = "mpi")]
    world: Option<retinanet_train::run::MpiWorld>,
    rank: usize,
    count: usize,
}

impl Ranks {
    /// A process that was started by itself.
    pub fn alone() -> Self {
        Self {
            #[cfg(feature = "mpi")]
            world: None,
            rank: 0,
            count: 1,
        }
    }

    /// Joins the others, where a launcher started some. Of all of them, rank 0 alone has notes and progress.
    ///
    /// # Errors
    /// The launcher's processes cannot be joined.
    #[cfg(feature = "mpi")]
    pub fn join() -> Outcome<Self> {
        let launched = SIZES.iter().chain(&["PMIX_RANK"]).any(|name| env::var_os(name).is_some());
        if !launched {
            return Ok(Self::alone());
        }
        let world = retinanet_train::run::MpiWorld::join()?;
        let (rank, count) = (world.rank().rank(), world.rank().ranks());
        if rank > 0 {
            voice::hush();
        }
        if let Some(said) = launched_count().filter(|said| *said != count) {
            // Each would take itself for the only one.
            return Err(Failure::usage(format!(
                "the launcher started {said} processes, and the MPI library that this program has knows of {count}; start it \
                 with that library's own mpirun"
            )));
        }
        Ok(Self { world: Some(world), rank, count })
    }

    /// Refuses to be one of several, for this build cannot reach the others.
    ///
    /// # Errors
    /// A launcher started several processes.
    #[cfg(not(feature = "mpi"))]
    pub fn join() -> Outcome<Self> {
        match launched_count() {
            Some(count) if count > 1 => Err(Failure::usage(format!(
                "a launcher such as mpirun started {count} of these, and this build of retinanet cannot speak with the others: \
                 all would write the same run. Build it with `--features mpi`, or start one alone"
            ))),
            _ => Ok(Self::alone()),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the run adds up by. It ends before this.
    pub fn reduce(&self) -> Box<dyn Reduce + Send> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Box::new(world.rank());
        }
        Box::new(Alone)
    }

    /// How many threads leave every rank of this machine its own CPUs; none where there is one rank.
    pub fn threads(&self) -> Option<usize> {
        #[cfg(feature = "mpi")]
        if let Some(world) = self.world.as_ref().filter(|_| self.count > 1) {
            return Some(world.threads());
        }
        None
    }

    /// Says why this rank failed before the connection ends, after which the launcher may end the process at any moment.
    pub fn leave<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        match outcome {
            Err(Failure::Told { exit, message }) if self.rank > 0 => {
                complain(&format!("rank {}: {message}", self.rank));
                Err(Failure::Said { exit })
            }
            Err(Failure::Shared { exit, .. }) if self.rank > 0 => Err(Failure::Said { exit }),
            Err(Failure::Told { exit, message } | Failure::Shared { exit, message }) => {
                complain(&message);
                Err(Failure::Said { exit })
            }
            outcome => outcome,
        }
    }
}

/// How many processes the launcher says that it started.
fn launched_count() -> Option<usize> {
    SIZES.iter().find_map(|name| env::var(name).ok()?.parse().ok())
}
