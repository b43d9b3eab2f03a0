// What the tests ask for: read by relay-compiler and never run. What it makes of it is in `__generated__`.

import { graphql } from 'relay-runtime';

graphql`
  fragment documents_batches on Query
  @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" })
  @refetchable(queryName: "documents_nextPageQuery") {
    batches(first: $first, after: $after) @connection(key: "documents_batches") {
      edges {
        node {
          id
        }
      }
    }
  }
`;

graphql`
  query documents_firstPageQuery {
    ...documents_batches
  }
`;

graphql`
  fragment documents_batch on Batch @refetchable(queryName: "documents_batchQuery") {
    id
    status
    jobs {
      object
      status
    }
  }
`;

graphql`
  mutation documents_cancelMutation($input: CancelBatchInput!) {
    cancelBatch(input: $input) {
      batch {
        ...documents_batch
      }
      userErrors {
        code
      }
    }
  }
`;

graphql`
  subscription documents_batchSubscription($id: ID!) {
    batch(id: $id) {
      ...documents_batch
    }
  }
`;
