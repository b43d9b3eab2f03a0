// Relay: what its compiler makes of the schema, on its runtime.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createClient } from 'graphql-ws';
import {
  Environment, Network, Observable, RecordSource, Store, commitMutation, createOperationDescriptor, fetchQuery,
  getSingularSelector, requestSubscription,
} from 'relay-runtime';
import WebSocket from 'ws';

import batchFragment from './relay/__generated__/documents_batch.graphql.js';
import batchQuery from './relay/__generated__/documents_batchQuery.graphql.js';
import batchSubscription from './relay/__generated__/documents_batchSubscription.graphql.js';
import batchesFragment from './relay/__generated__/documents_batches.graphql.js';
import cancelMutation from './relay/__generated__/documents_cancelMutation.graphql.js';
import firstPageQuery from './relay/__generated__/documents_firstPageQuery.graphql.js';
import nextPageQuery from './relay/__generated__/documents_nextPageQuery.graphql.js';
import { start } from './server.js';

let server;
let socket;
before(async () => {
  server = await start();
  socket = createClient({
    url: server.url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: server.headers.authorization },
  });
});
after(async () => {
  await socket.dispose();
  await server.stop();
});

// Relay as a page sets it up.
function environment() {
  const run = async ({ text: query }, variables) => {
    const response = await fetch(server.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...server.headers },
      body: JSON.stringify({ query, variables }),
    });
    return response.json();
  };
  const subscribe = ({ text: query }, variables) =>
    Observable.create((sink) => socket.subscribe({ query, variables }, sink));
  return new Environment({ network: Network.create(run, subscribe), store: new Store(new RecordSource()) });
}

// What a component with this fragment sees: where it was spread, in an operation that has run.
function seen(relay, fragment, operation, variables, at = (data) => data) {
  const descriptor = createOperationDescriptor(operation, variables);
  const owner = relay.lookup(descriptor.fragment);
  assert.equal(owner.isMissingData, false);
  const snapshot = relay.lookup(getSingularSelector(fragment, at(owner.data)));
  assert.equal(snapshot.isMissingData, false);
  return snapshot.data;
}

test('Relay pages through a connection', async () => {
  const made = [];
  for (const name of ['one', 'two', 'three']) {
    made.unshift(await server.makeBatch(name));
  }
  const relay = environment();
  const shown = () => seen(relay, batchesFragment, firstPageQuery, {}).batches;
  const ids = () => shown().edges.map(({ node }) => node.id);
  await fetchQuery(relay, firstPageQuery, {}).toPromise();
  assert.deepEqual(ids(), made.slice(0, 2), 'newest first');
  const { endCursor, hasNextPage } = shown().pageInfo;
  assert.equal(hasNextPage, true);
  await fetchQuery(relay, nextPageQuery, { first: 2, after: endCursor }).toPromise();
  assert.deepEqual(ids(), made, 'the next page is put behind the first');
  assert.equal(shown().pageInfo.hasNextPage, false);
});

test('Relay refetches a node, and sees what a mutation has changed', async () => {
  const id = await server.makeBatch('node');
  const relay = environment();
  const shown = () => seen(relay, batchFragment, batchQuery, { id }, ({ node }) => node);
  await fetchQuery(relay, batchQuery, { id }).toPromise();
  assert.deepEqual(shown(), { id, status: 'PENDING', jobs: [{ object: 'a', status: 'READY' }] });
  const { cancelBatch } = await new Promise((onCompleted, onError) => {
    commitMutation(relay, { mutation: cancelMutation, variables: { input: { id } }, onCompleted, onError });
  });
  assert.deepEqual(cancelBatch.userErrors, []);
  assert.deepEqual(shown(), { id, status: 'CANCELED', jobs: [{ object: 'a', status: 'CANCELED' }] });
});

test('Relay follows a subscription', async () => {
  const id = await server.makeBatch('subscription');
  const relay = environment();
  const statuses = [];
  await new Promise((done, onError) => {
    const following = requestSubscription(relay, {
      subscription: batchSubscription,
      variables: { id },
      onError,
      onNext() {
        statuses.push(relay.getStore().getSource().get(id).status);
        if (statuses.length === 1) {
          server.ask('mutation ($id: ID!) { cancelBatch(input: { id: $id }) { batch { id } } }', { id });
        } else {
          following.dispose();
          done();
        }
      },
    });
  });
  assert.deepEqual(statuses, ['PENDING', 'CANCELED']);
});
