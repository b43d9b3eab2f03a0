// GraphQL over HTTP: the audits of the draft's own suite, and clients as people use them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client/core/index.js';
import { Client, fetchExchange } from '@urql/core';
import { auditServer } from 'graphql-http';
import { GraphQLClient } from 'graphql-request';
import { buildClientSchema, getIntrospectionQuery, validateSchema } from 'graphql';

import { start } from './server.js';

let server;
before(async () => {
  server = await start();
});
after(() => server.stop());

const withToken = (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, ...server.headers } });

test('every audit of graphql-http passes', async () => {
  const results = await auditServer({ url: server.url, fetchFn: withToken });
  const failed = results.filter(({ status }) => status !== 'ok');
  assert.deepEqual(failed.map(({ name, reason }) => `${name}: ${reason}`), []);
  assert.ok(results.length >= 60, `only ${results.length} audits`);
});

test('the introspected schema is valid', async () => {
  const client = new GraphQLClient(server.url, { headers: server.headers });
  const introspection = await client.request(getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true }));
  assert.deepEqual(validateSchema(buildClientSchema(introspection)), []);
});

const VIEWER = 'query Viewer { viewer { name role } }';
const EXPECTED = { name: 'client', role: 'ADMIN' };

test('graphql-request', async () => {
  const client = new GraphQLClient(server.url, { headers: server.headers });
  assert.deepEqual((await client.request(VIEWER)).viewer, EXPECTED);
  await assert.rejects(new GraphQLClient(server.url).request(VIEWER), /UNAUTHENTICATED/);
});

test('Apollo Client', async () => {
  const link = new HttpLink({ uri: server.url, headers: server.headers });
  const client = new ApolloClient({ link, cache: new InMemoryCache() });
  const { data } = await client.query({ query: gql(VIEWER) });
  assert.equal(data.viewer.role, EXPECTED.role);
  const mutation = gql`mutation Make($input: CreateTenantInput!) {
    createTenant(input: $input) { tenant { id name } userErrors { code } }
  }`;
  const made = await client.mutate({ mutation, variables: { input: { name: 'acme' } } });
  assert.equal(made.data.createTenant.tenant.name, 'acme');
});

test('urql, by GET too', async () => {
  for (const preferGetMethod of [false, 'force']) {
    const client = new Client({
      url: server.url, exchanges: [fetchExchange], preferGetMethod, fetchOptions: { headers: server.headers },
    });
    const { data, error } = await client.query(VIEWER, {}).toPromise();
    assert.equal(error, undefined);
    assert.equal(data.viewer.name, EXPECTED.name);
  }
});
