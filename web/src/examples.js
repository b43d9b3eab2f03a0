import batches from './examples/batches.graphql?raw';
import connections from './examples/connections.graphql?raw';
import createBatch from './examples/create-batch.graphql?raw';
import listConnections from './examples/list-connections.graphql?raw';
import plan from './examples/plan.graphql?raw';

// Stand in the variables until there are two connections to take the ids from.
export const SOURCE = 'PASTE-THE-ID-OF-THE-SOURCE-CONNECTION';
export const DESTINATION = 'PASTE-THE-ID-OF-THE-DESTINATION-CONNECTION';

const variables = `// Run CreateConnections (first tab) and come back
// to have the ids filled in, or paste them here
// from ListConnections.
{
  "source": "${SOURCE}",
  "destination": "${DESTINATION}"
}
`;

export const tabs = [
  { query: connections },
  { query: listConnections },
  { query: createBatch, variables },
  { query: batches },
  { query: plan, variables },
];
