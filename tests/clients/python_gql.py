"""The Python client gql against a server: its address and a token are the arguments."""

import asyncio
import sys

from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import validate_schema

url, bearer = sys.argv[1], f"Bearer {sys.argv[2]}"

CONNECT = gql("""mutation ($name: String!) {
  createConnection(input: { name: $name, provider: "csv" }) { connection { id } userErrors { code } } }""")
CREATE = gql("""mutation ($input: CreateBatchInput!) { createBatch(input: $input) { batch { id } userErrors { code } } }""")
CANCEL = gql("""mutation ($id: ID!) { cancelBatch(input: { id: $id }) { batch { status } userErrors { code } } }""")
READ = gql("""query ($id: ID!) { batch(id: $id) { id status since jobs { type object } } }""")
FOLLOW = gql("""subscription ($id: ID!) { batch(id: $id) { status } }""")


def with_variables(document, **variables):
    document.variable_values = variables
    return document


async def make_batch(session, name):
    """Makes a batch, on a connection of this name, and gives its id."""
    made = await session.execute(with_variables(CONNECT, name=name))
    connection = made["createConnection"]["connection"]["id"]
    batch = {
        "sourceConnectionId": connection,
        "destinationConnectionId": connection,
        "since": "2010-01-01",
        "jobs": [{"type": "EXTRACT", "object": "a"}],
    }
    made = await session.execute(with_variables(CREATE, input=batch))
    assert made["createBatch"]["userErrors"] == [], made
    return made["createBatch"]["batch"]["id"]


async def over_http():
    """A query and a mutation, checked against the introspected schema before they are sent."""
    transport = AIOHTTPTransport(url=url, headers={"Authorization": bearer})
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        schema = session.client.schema
        assert validate_schema(schema) == []
        assert "Batch" in schema.type_map
        batch = await make_batch(session, "http")
        read = await session.execute(with_variables(READ, id=batch))
        jobs = [{"type": "EXTRACT", "object": "a"}]
        assert read["batch"] == {"id": batch, "status": "PENDING", "since": "2010-01-01T00:00:00Z", "jobs": jobs}, read


async def over_websocket():
    """A query, a mutation and a subscription on one connection."""
    transport = WebsocketsTransport(
        url=url.replace("http", "ws", 1),
        init_payload={"Authorization": bearer},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        batch = await make_batch(session, "websocket")
        seen = []
        async for result in session.subscribe(with_variables(FOLLOW, id=batch)):
            seen.append(result["batch"]["status"])
            if len(seen) == 2:
                break
            canceled = await session.execute(with_variables(CANCEL, id=batch))
            assert canceled["cancelBatch"]["userErrors"] == [], canceled
        assert seen == ["PENDING", "CANCELED"], seen


async def without_a_token():
    """The refusal is told as a GraphQL error."""
    try:
        async with Client(transport=AIOHTTPTransport(url=url)) as session:
            await session.execute(with_variables(READ, id="batch_01h2xcejqtf2nbrexx3vqjhp41"))
    except TransportQueryError as refused:
        assert refused.errors[0]["extensions"]["code"] == "UNAUTHENTICATED", refused
    else:
        raise AssertionError("it was served without a token")


asyncio.run(over_http())
asyncio.run(over_websocket())
asyncio.run(without_a_token())
