//! Ranks in threads of one process.

use std::{
    net::TcpListener,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use super::{handshake::Claim, *};
use crate::{Error, Result};

/// A port that is free for now.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn place(rank: usize, ranks: usize, port: u16) -> Place {
    let variable = |name: &str| {
        Some(match name {
            "RANK" | "LOCAL_RANK" => rank.to_string(),
            "WORLD_SIZE" | "LOCAL_WORLD_SIZE" => ranks.to_string(),
            "MASTER_ADDR" => "localhost".to_owned(),
            "MASTER_PORT" => port.to_string(),
            _ => return None,
        })
    };
    Place::of(&variable).unwrap().unwrap()
}

fn claim(rank: usize, ranks: usize, seed: &str) -> Claim {
    let alike = vec![("the seed".to_owned(), seed.to_owned())];
    Claim { rank, ranks, host: format!("host{rank}"), pid: 100 + rank as u32, alike }
}

fn meet(place: Place, claim: Claim, secret: &str, seconds: u64) -> Result<Ranks> {
    Ranks::meet_as(&place, &claim, secret, Duration::from_secs(seconds), Arc::new(AtomicBool::new(false)))
}

/// What `run` comes to on each of so many ranks.
fn each<T: Send>(ranks: usize, run: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    let port = port();
    thread::scope(|scope| {
        let one = |rank| {
            let run = &run;
            scope.spawn(move || run(meet(place(rank, ranks, port), claim(rank, ranks, "0"), "", 20).unwrap()))
        };
        let all: Vec<_> = (0..ranks).map(one).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// What is said to all who meet at one place with these claims and secrets; `None` to who is welcome.
fn refused(all: &[(usize, usize, &str, &str)], seconds: u64) -> Vec<Option<(u8, String)>> {
    let port = port();
    thread::scope(|scope| {
        let one = |&(rank, ranks, seed, secret): &(usize, usize, &str, &str)| {
            let (seed, secret) = (seed.to_owned(), secret.to_owned());
            scope.spawn(move || {
                let met = meet(place(rank, ranks, port), claim(rank, ranks, &seed), &secret, seconds);
                met.err().map(|error| (error.exit_code(), error.to_string()))
            })
        };
        let all: Vec<_> = all.iter().map(one).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn ranks_tell_gather_and_add() {
    for ranks in [2, 3, 4] {
        let found = each(ranks, |all| {
            assert_eq!((all.count(), all.are_one(), all.is_first()), (ranks, false, all.rank() == 0));
            let said: String = all.tell(|| format!("from {}", all.rank())).unwrap();
            let gathered = all.gather(vec![all.rank() as u8; all.rank()]).unwrap();
            let mut values = vec![all.rank() as f32, 1.0];
            all.sum(&mut values).unwrap();
            all.part();
            (said, gathered, values)
        });
        let sum: usize = (0..ranks).sum();
        for (rank, (said, gathered, values)) in found.iter().enumerate() {
            assert_eq!((&**said, values), ("from 0", &vec![sum as f32, ranks as f32]));
            let expected =
                if rank == 0 { (0..ranks).map(|r| vec![r as u8; r]).collect() } else { Vec::new() };
            assert_eq!(gathered, &expected);
        }
    }
}

#[test]
fn one_rank_needs_nobody() {
    let alone = Ranks::alone();
    let mut values = [1.5];
    alone.sum(&mut values).unwrap();
    assert_eq!(
        (values, alone.tell(|| 7u8).unwrap(), alone.gather(vec![1]).unwrap()),
        ([1.5], 7, vec![vec![1]])
    );
}

#[test]
fn ranks_that_do_not_fit_together_are_told_the_same() {
    let same = |all: &[(usize, usize, &str, &str)], problem: &str| {
        let said = refused(all, 10);
        for one in &said {
            let (code, text) = one.as_ref().expect("nobody is welcome");
            assert!(*code == 2 && text.contains(problem), "{said:?}");
        }
    };
    same(
        &[(0, 2, "0", ""), (1, 2, "1", "")],
        "the ranks differ in the seed: rank 0 has 0, rank 1 on `host1` 1",
    );
    same(&[(0, 3, "0", ""), (1, 3, "0", ""), (1, 3, "0", "")], "two processes are rank 1");
    same(&[(0, 2, "0", ""), (1, 3, "0", "")], "rank 0 is one of 2 ranks, and rank 1 on `host1` one of 3");
}

#[test]
fn ranks_that_do_not_come_are_named() {
    let began = Instant::now();
    let said = refused(&[(0, 4, "0", ""), (2, 4, "0", "")], 1);
    for (_, text) in said.into_iter().flatten() {
        assert!(text.contains("ranks 1, 3 of 4 did not come within 1 s"), "{text}");
    }
    let (code, text) = refused(&[(1, 2, "0", "")], 1)[0].clone().unwrap();
    assert!(code == 1 && text.contains("rank 0 was not found at `localhost`"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn who_waits_for_others_can_be_stopped() {
    let port = port();
    let stops = [0, 1].map(|_| Arc::new(AtomicBool::new(false)));
    let began = Instant::now();
    let errors = thread::scope(|scope| {
        // The third never comes.
        let threads = [0, 1].map(|rank| {
            let stop = Arc::clone(&stops[rank]);
            let meet = move || {
                Ranks::meet_as(&place(rank, 3, port), &claim(rank, 3, "0"), "", Duration::from_mins(1), stop)
                    .unwrap_err()
            };
            scope.spawn(meet)
        });
        thread::sleep(Duration::from_millis(300));
        stops[1].store(true, std::sync::atomic::Ordering::Relaxed);
        thread::sleep(Duration::from_millis(300));
        stops[0].store(true, std::sync::atomic::Ordering::Relaxed);
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(errors.iter().all(|error| matches!(error, Error::Interrupted)), "{errors:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn who_does_not_know_the_secret_is_no_rank() {
    let said = refused(&[(0, 2, "0", "right"), (1, 2, "0", "wrong")], 2);
    let said: Vec<String> = said.into_iter().map(|one| one.expect("they do not meet").1).collect();
    assert!(said[0].contains("rank 1 of 2 did not come"), "{said:?}");
    assert!(said[1].contains("another secret"), "{said:?}");
    assert!(!said.concat().contains("right"), "a secret was said: {said:?}");
}

#[test]
fn several_machines_need_a_secret() {
    let far = Place { host: "elsewhere.invalid".to_owned(), local_ranks: None, ..place(1, 2, 1) };
    let error = meet(far, claim(1, 2, "0"), "", 1).unwrap_err();
    assert!(error.exit_code() == 2 && error.to_string().contains("SIDA_SECRET"), "{error}");
}

/// Strangers who connect, say nothing or nonsense, or more than anybody may, disturb no meeting.
#[test]
fn strangers_keep_nobody_waiting() {
    use std::io::Write as _;
    let port = port();
    let ranks = thread::scope(|scope| {
        let first = scope.spawn(move || meet(place(0, 2, port), claim(0, 2, "0"), "", 20));
        let strangers: Vec<_> = [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64]]
            .into_iter()
            .filter_map(|words| {
                let mut stream = (0..200).find_map(|_| {
                    thread::sleep(Duration::from_millis(10));
                    std::net::TcpStream::connect(("127.0.0.1", port)).ok()
                })?;
                stream.write_all(words).ok()?;
                Some(stream)
            })
            .collect();
        assert_eq!(strangers.len(), 3);
        let second = scope.spawn(move || meet(place(1, 2, port), claim(1, 2, "0"), "", 20));
        [first, second].map(|thread| thread.join().unwrap().unwrap())
    });
    ranks.iter().for_each(Ranks::part);
}

#[test]
fn a_failure_reaches_all_with_its_words() {
    let said = each(3, |all| {
        if all.rank() == 1 {
            all.fail(&Error::Unusable("the disk has burnt".to_owned()));
            return String::new();
        }
        // Rank 2 waits for rank 0, and that for rank 1.
        let error = all.gather(Vec::new()).and_then(|_| all.tell(|| ())).unwrap_err();
        all.part();
        error.to_string()
    });
    assert_eq!(said[0], "rank 1 on `host1` is lost: the disk has burnt");
    assert_eq!(said[2], said[0]);
}

#[test]
fn an_error_that_all_have_leaves_them_together() {
    let said = each(2, |all| {
        let problem = Error::Unusable("no such file".to_owned());
        let ended = all.end_of_stage(Some(&problem));
        let next = all.tell(|| 5u8).unwrap();
        // The next stage fails on rank 1 alone, at its end.
        let other =
            all.end_of_stage((all.rank() == 1).then_some(&problem)).map_err(|error| error.to_string());
        let _ = all.tell(|| ());
        all.part();
        (ended.is_ok(), next, other)
    });
    assert_eq!(said[0], (true, 5, Err("rank 1 on `host1` is lost: no such file".to_owned())));
    assert_eq!(said[1], (true, 5, Ok(())));
}

#[test]
fn a_stop_of_any_rank_reaches_the_first() {
    let port = port();
    thread::scope(|scope| {
        let stops = [0, 1].map(|_| Arc::new(AtomicBool::new(false)));
        let threads = [0, 1].map(|rank| {
            let stop = Arc::clone(&stops[rank]);
            scope.spawn(move || {
                Ranks::meet_as(&place(rank, 2, port), &claim(rank, 2, "0"), "", Duration::from_secs(20), stop)
                    .unwrap()
            })
        });
        let ranks = threads.map(|thread| thread.join().unwrap());
        stops[1].store(true, std::sync::atomic::Ordering::Relaxed);
        let began = Instant::now();
        while !stops[0].load(std::sync::atomic::Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(10), "nobody told rank 0");
            thread::sleep(Duration::from_millis(10));
        }
        ranks.iter().for_each(Ranks::part);
    });
}

#[test]
fn what_nobody_guesses_does_not_come_again() {
    assert_ne!(unguessable(), unguessable());
}
