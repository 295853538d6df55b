//! Who may publish.

use std::sync::Arc;

use super::support::{Bench, Line, SlowDisk, producer};
use crate::broker::outlet::Outlet;
use crate::broker::policies::Policies;
use crate::broker::topic::NewProducer;
use crate::error::{Error, ErrorKind};
use crate::protocol::proto::{Command, ProducerAccessMode, ServerError};

use ProducerAccessMode::{Exclusive, ExclusiveWithFencing, Shared, WaitForExclusive};

#[test]
fn names_are_given_or_made_and_held_by_one() {
    let bench = Bench::new(Policies::default());
    let (first, second) = (Line::new(), Line::new());
    let unnamed = |id| NewProducer { name: None, user_provided_name: false, ..producer(id, "", Shared) };
    let made = [1, 2].map(|id| bench.produce(&first, unnamed(id)).unwrap().producer_name);
    assert_ne!(made[0], made[1]);
    assert_eq!(bench.produce(&first, producer(3, "a", Shared)).unwrap().producer_name, "a");
    let refused = bench.produce(&second, producer(1, "a", Shared)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ProducerBusy);
    // The same producer comes again on its connection, before its old self is gone.
    bench.produce(&first, NewProducer { epoch: 1, ..producer(3, "a", Shared) }).unwrap();
    bench.topic.remove_producer(first.id, 3);
    bench.produce(&second, producer(1, "a", Shared)).unwrap();
}

#[test]
fn exclusive_access_keeps_others_out_until_it_is_given_up() {
    let bench = Bench::new(Policies::default());
    let (first, second) = (Line::new(), Line::new());
    let grant = bench.produce(&first, producer(1, "a", Exclusive)).unwrap();
    assert_eq!((grant.topic_epoch, grant.producer_ready), (Some(0), Some(true)));
    for (mode, kind) in [(Shared, ErrorKind::ProducerBusy), (Exclusive, ErrorKind::ProducerFenced)] {
        assert_eq!(bench.produce(&second, producer(1, "b", mode)).unwrap_err().kind(), kind);
    }
    bench.topic.remove_producer(first.id, 1);
    let grant = bench.produce(&second, producer(1, "b", Exclusive)).unwrap();
    assert_eq!(grant.topic_epoch, Some(1));
    bench.topic.remove_producer(second.id, 1);
    // Somebody had it in between: whoever comes back with the old epoch is out.
    let back = NewProducer { topic_epoch: Some(0), ..producer(1, "a", Exclusive) };
    assert_eq!(bench.produce(&first, back).unwrap_err().kind(), ErrorKind::ProducerFenced);
    let back = NewProducer { topic_epoch: Some(1), ..producer(1, "b", Exclusive) };
    assert_eq!(bench.produce(&second, back).unwrap().topic_epoch, Some(1));
}

#[test]
fn whoever_waits_for_exclusive_access_is_told_when_he_has_it() {
    let bench = Bench::new(Policies::default());
    let (first, second, third) = (Line::new(), Line::new(), Line::new());
    bench.produce(&first, producer(1, "a", Shared)).unwrap();
    for (line, name) in [(&second, "b"), (&third, "c")] {
        let grant = bench.produce(line, producer(1, name, WaitForExclusive)).unwrap();
        assert_eq!((grant.producer_ready, grant.topic_epoch), (Some(false), None));
    }
    assert_eq!(bench.produce(&first, producer(2, "d", Shared)).unwrap_err().kind(), ErrorKind::ProducerBusy);
    assert!(second.names().is_empty());
    bench.topic.remove_producer(first.id, 1);
    let told = second.take();
    let [Command::ProducerSuccess(success)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((success.request_id, success.producer_ready, success.topic_epoch), (101, Some(true), Some(0)));
    assert!(third.names().is_empty());
    bench.topic.remove_producer(second.id, 1);
    assert_eq!(third.names(), ["ProducerSuccess"]);
}

/// What a connection was told of its producers: whether each is ready, or the error.
fn told(line: &Line) -> Vec<Result<bool, i32>> {
    let outcome = |command| match command {
        Command::ProducerSuccess(success) => Ok(success.producer_ready()),
        Command::Error(error) => Err(error.error),
        other => panic!("{other:?}"),
    };
    line.take().into_iter().map(outcome).collect()
}

fn ask(bench: &Bench, line: &Arc<Line>, mode: ProducerAccessMode) {
    let outlet = Arc::clone(line) as Arc<dyn Outlet>;
    bench.topic.add_producer(producer(1, &line.id.to_string(), mode), outlet).unwrap();
}

#[test]
fn whoever_is_promoted_at_once_hears_first_that_he_waits() {
    let bench = Bench::new(Policies::default());
    let (first, second) = (Line::new(), Line::new());
    ask(&bench, &first, Exclusive);
    ask(&bench, &second, WaitForExclusive);
    bench.topic.remove_producer(first.id, 1);
    assert_eq!(told(&second), [Ok(false), Ok(true)]);
}

#[test]
fn nobody_is_told_before_his_producer_is_stored() {
    let disk = Arc::<SlowDisk>::default();
    let bench = Bench::on_disk(&disk);
    let (first, second, third) = (Line::new(), Line::new(), Line::new());
    ask(&bench, &first, Exclusive);
    assert_eq!(told(&first), []);
    disk.report(&Ok(()));
    assert_eq!(told(&first), [Ok(true)]);
    // Promoted, and driven out, before the answer.
    ask(&bench, &second, WaitForExclusive);
    bench.topic.remove_producer(first.id, 1);
    disk.report(&Ok(()));
    assert_eq!(told(&second), [Ok(true)], "one answer, which is the last word");
    ask(&bench, &third, WaitForExclusive);
    bench.topic.unload();
    disk.report(&Ok(()));
    assert_eq!(second.names(), ["CloseProducer"]);
    assert_eq!(told(&third), [Err(ServerError::ServiceNotReady as i32)]);
}

#[test]
fn a_producer_that_cannot_be_stored_is_none() {
    let disk = Arc::<SlowDisk>::default();
    let bench = Bench::on_disk(&disk);
    let line = Line::new();
    ask(&bench, &line, Exclusive);
    disk.report(&Err(Error::new(ErrorKind::Persistence, "no room")));
    assert_eq!(told(&line), [Err(ServerError::PersistenceError as i32)]);
    assert!(!bench.topic.is_in_use());
}

#[test]
fn fencing_drives_out_those_connected_and_those_waiting() {
    let bench = Bench::new(Policies::default());
    let (first, waiting, fencing) = (Line::new(), Line::new(), Line::new());
    bench.produce(&first, producer(1, "a", Exclusive)).unwrap();
    bench.produce(&waiting, producer(1, "b", WaitForExclusive)).unwrap();
    let grant = bench.produce(&fencing, producer(1, "c", ExclusiveWithFencing)).unwrap();
    assert_eq!(grant.topic_epoch, Some(1));
    assert_eq!(first.names(), ["CloseProducer"]);
    let told = waiting.take();
    let [Command::Error(error)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((error.request_id, error.error), (101, ServerError::ProducerFenced as i32));
    let back = NewProducer { topic_epoch: Some(0), ..producer(1, "a", ExclusiveWithFencing) };
    assert_eq!(bench.produce(&first, back).unwrap_err().kind(), ErrorKind::ProducerFenced);
    assert!(fencing.names().is_empty(), "the one that has it keeps it");
}

#[test]
fn policies_limit_how_many_there_are() {
    let bench = Bench::new(Policies { max_producers: Some(1), ..Policies::default() });
    bench.producer("a");
    let refused = bench.produce(&Line::new(), producer(1, "b", Shared)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ProducerBusy);
}

#[test]
fn a_producer_may_bring_its_subscription() {
    let bench = Bench::new(Policies::default());
    let line = Line::new();
    let request = producer(1, "p", Shared);
    bench.produce(&line, NewProducer { initial_subscription: Some("s".into()), ..request }).unwrap();
    bench.send(&line, 0, None, b"x");
    assert_eq!(bench.topic.stats().subscriptions["s"].stats.backlog, 1);
    assert_eq!(bench.consumer("s").texts(), ["x"]);
}
