// Subscriptions, over both protocols.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import WebSocket from 'ws';

import { start } from './server.js';

let server;
before(async () => {
  server = await start();
});
after(() => server.stop());

const EVENTS = 'subscription { events { node { kind } } }';

async function follows(client, name) {
  const batch = await server.makeBatch(name);
  const query = `subscription { batch(id: "${batch}") { status } }`;
  const seen = [];
  for await (const { data, errors } of client.iterate({ query })) {
    assert.equal(errors, undefined);
    seen.push(data.batch.status);
    if (seen.length === 1) {
      await server.ask('mutation ($id: ID!) { cancelBatch(input: { id: $id }) { batch { id } } }', { id: batch });
    } else {
      break;
    }
  }
  assert.deepEqual(seen, ['PENDING', 'CANCELED']);
}

test('graphql-ws follows a batch', async () => {
  const client = createWsClient({
    url: server.url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: server.headers.authorization },
  });
  await follows(client, 'ws');
  await client.dispose();
});

test('graphql-ws without a token is closed with a reason', async () => {
  const client = createWsClient({ url: server.url.replace('http', 'ws'), webSocketImpl: WebSocket, retryAttempts: 0 });
  const failed = client.iterate({ query: EVENTS }).next();
  await assert.rejects(failed, (closed) => closed.code === 4403 && closed.reason.startsWith('Forbidden'));
});

test('graphql-sse follows a batch', async () => {
  const client = createSseClient({ url: server.url, headers: server.headers });
  await follows(client, 'sse');
  client.dispose();
});
