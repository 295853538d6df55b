//! Produce, subscribe, receive, acknowledge.

use crate::house::{House, acknowledge, receive, send, text};

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_in_order_and_are_acknowledged() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = house.consumer("t").await;
    for number in 0..100 {
        send(&producer, &number.to_string()).await;
    }
    for number in 0..100 {
        let message = receive(&consumer).await;
        assert_eq!(text(&message), number.to_string());
        acknowledge(&consumer, &message).await;
    }
    house.close().await;
}
