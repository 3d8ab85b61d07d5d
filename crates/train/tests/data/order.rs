//! Which image stands where.

use retinanet_train::Error;
use retinanet_train::data::{Order, Place};

#[test]
fn an_epoch_holds_every_image_once_and_the_next_another_order() {
    let ids: Vec<i64> = (0..50).map(|i| i * 7 - 90).collect();
    let order = Order::new(1, ids.clone(), 4).unwrap();
    let of = |epoch: u64| (0..50).map(|i| order.place(epoch * 50 + i).image_id).collect::<Vec<_>>();
    let mut sorted = of(0);
    assert_ne!(sorted, ids);
    sorted.sort_unstable();
    assert_eq!(sorted, ids);
    assert_ne!(of(0), of(1));
    assert_ne!(of(0), {
        let other = Order::new(2, ids.clone(), 4).unwrap();
        (0..50).map(|i| other.place(i).image_id).collect::<Vec<_>>()
    });
}

#[test]
fn steps_are_full_and_cross_epochs_and_any_can_be_asked_first() {
    let order = Order::new(1, (0..10).collect(), 4).unwrap();
    let forwards: Vec<Vec<Place>> = (0..10).map(|step| order.step(step)).collect();
    let again = Order::new(1, (0..10).collect(), 4).unwrap();
    let backwards: Vec<Vec<Place>> = (0..10).rev().map(|step| again.step(step)).collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    assert!(forwards.iter().all(|step| step.len() == 4));
    let epochs: Vec<u64> = forwards[2].iter().map(|place| place.epoch).collect();
    assert_eq!(epochs, [0, 0, 1, 1]);
    assert_eq!(order.step_of(forwards[2][3].position), 2);
}

#[test]
fn the_order_of_two_images_does_not_depend_on_the_others() {
    let all = Order::new(9, (0..40).collect(), 1).unwrap();
    let even = Order::new(9, (0..40).step_by(2).collect(), 1).unwrap();
    let all = (0..40).map(|p| all.place(p).image_id).filter(|id| id % 2 == 0);
    assert!(all.eq((0..20).map(|p| even.place(p).image_id)));
}

#[test]
fn the_orders_bits_are_pinned() {
    let order = Order::new(3407, vec![9, 25, 30, 34, 36, 42], 3).unwrap();
    let ids: Vec<i64> = (0..12).map(|position| order.place(position).image_id).collect();
    // Computed from the definition by a script of its own.
    assert_eq!(ids, [25, 34, 9, 42, 36, 30, 30, 42, 9, 36, 25, 34]);
}

#[test]
fn no_images_and_senseless_batches_are_refused() {
    for (ids, batch) in [(vec![], 4), (vec![1], 0), (vec![1], usize::MAX)] {
        assert!(matches!(Order::new(1, ids, batch), Err(Error::Setting { .. })));
    }
}
