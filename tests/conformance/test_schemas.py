"""Schemas: what our models register is what the other clients read, and the other way round."""

import pytest
from pulsar.schema import JsonSchema

from fastapi_pulsar.exceptions import IncompatibleSchemaError, PayloadValidationError, SchemaTypeError
from tests.conformance.conftest import Connect
from tests.conformance.models import EXAMPLE, Everything, Narrow, OfficialOrder, Order, as_json
from tests.pulsar.harness import AdminError
from tests.pulsar.peers import ConsumerOptions, Outgoing, ProducerOptions
from tests.pulsar.peers.interface import receive_exactly
from tests.pulsar.plugin import Broker


def without_nulls(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.pulsar
@pytest.mark.parametrize("reader", ["json", "auto"])
def test_java_reads_what_a_model_registers(connect: Connect, pulsar_broker: Broker, topic: str, reader: str) -> None:
    """Through a class of its own, and as a generic record by the schema alone."""
    connect("ours").producer(topic, ProducerOptions(schema=Everything)).send(Outgoing(value=EXAMPLE))
    assert pulsar_broker.admin.schema(topic)["type"] == "JSON"
    consumer = connect("java").consumer(topic, "s", ConsumerOptions(schema=reader))
    message = receive_exactly(consumer, 1)[0]
    assert without_nulls(message.value) == without_nulls(as_json(EXAMPLE))


@pytest.mark.pulsar
def test_a_model_reads_what_java_registers(connect: Connect, topic: str) -> None:
    fields = as_json(EXAMPLE) | {"note": "from Java"}
    connect("java").producer(topic, ProducerOptions(schema="json")).send(Outgoing(value=fields))
    message = receive_exactly(connect("ours").consumer(topic, "s", ConsumerOptions(schema=Everything)), 1)[0]
    assert message.value == EXAMPLE.model_copy(update={"note": "from Java"})


@pytest.mark.pulsar
def test_both_write_to_one_topic(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    """The broker (whose rule is FULL by default) finds the two schemas compatible, whoever comes first."""
    for first, second in (("java", "ours"), ("ours", "java")):
        name = f"{topic}-{first}"
        schemas = {"java": "json", "ours": Everything}
        values = {"java": as_json(EXAMPLE), "ours": EXAMPLE}
        for client in (first, second):
            connect(client).producer(name, ProducerOptions(schema=schemas[client])).send(Outgoing(value=values[client]))
        read = receive_exactly(connect("ours").consumer(name, "s", ConsumerOptions(schema=Everything)), 2)
        assert [m.value for m in read] == [EXAMPLE, EXAMPLE]


def test_the_official_client_reads_a_model(connect: Connect, topic: str) -> None:
    orders = [Order(id=1, customer="a", amount=1.5), Order(id=2, customer="b")]
    connect("ours").producer(topic, ProducerOptions(schema=Order)).send_many(
        [Outgoing(value=order) for order in orders]
    )
    consumer = connect("official").consumer(topic, "s", ConsumerOptions(schema=JsonSchema(OfficialOrder)))
    found = [m.value for m in receive_exactly(consumer, 2)]
    assert [(o.id, o.customer, o.amount) for o in found] == [(1, "a", 1.5), (2, "b", None)]


def test_a_model_reads_the_official_client(connect: Connect, topic: str) -> None:
    producer = connect("official").producer(topic, ProducerOptions(schema=JsonSchema(OfficialOrder)))
    producer.send(Outgoing(value=OfficialOrder(id=1, customer="a", amount=1.5)))
    consumer = connect("ours").consumer(topic, "s", ConsumerOptions(schema=Order))
    assert receive_exactly(consumer, 1)[0].value == Order(id=1, customer="a", amount=1.5)


def test_an_incompatible_model_is_refused_at_creation(connect: Connect, topic: str) -> None:
    client = connect("ours")
    client.producer(topic, ProducerOptions(schema=Order))
    with pytest.raises(IncompatibleSchemaError) as caught:
        client.producer(topic, ProducerOptions(schema=Narrow))
    assert caught.value.topic == topic and not caught.value.retryable


def test_a_consumer_does_not_register(connect: Connect, pulsar_broker: Broker, topic: str) -> None:
    connect("ours").consumer(topic, "s", ConsumerOptions(schema=Order))
    with pytest.raises(AdminError) as caught:
        pulsar_broker.admin.schema(topic)
    assert caught.value.status == 404


@pytest.mark.pulsar
def test_a_payload_that_does_not_validate_names_the_field_only(connect: Connect, topic: str) -> None:
    connect("java").producer(topic).send(Outgoing(b'{"id": "canary-7f3a", "customer": "x"}'))
    consumer = connect("ours").consumer(topic, "s", ConsumerOptions(schema=Order))
    with pytest.raises(PayloadValidationError) as caught:
        consumer.receive(10)
    assert "id" in str(caught.value) and "canary-7f3a" not in str(caught.value)


@pytest.mark.pulsar
def test_a_model_on_an_avro_topic_is_refused_at_subscribe(connect: Connect, topic: str) -> None:
    connect("java").producer(topic, ProducerOptions(schema="avro"))
    with pytest.raises(SchemaTypeError, match="AVRO"):
        connect("ours").consumer(topic, "s", ConsumerOptions(schema=Everything))


@pytest.mark.pulsar
def test_text(connect: Connect, topic: str) -> None:
    connect("java").producer(topic, ProducerOptions(schema="string")).send(Outgoing(value="Zürich"))
    assert receive_exactly(connect("ours").consumer(topic, "s", ConsumerOptions(schema=str)), 1)[0].value == "Zürich"
