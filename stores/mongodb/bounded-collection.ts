import type {
  AggregateOptions,
  Collection,
  Document,
  Filter,
  FindOptions,
  WithId
} from 'mongodb'

/** Statements of a collection that give one answer. */
const STATEMENTS = [
  'findOne',
  'insertOne',
  'insertMany',
  'updateOne',
  'updateMany',
  'deleteOne',
  'deleteMany',
  'findOneAndUpdate',
  'findOneAndDelete',
  'bulkWrite',
  'countDocuments',
  'distinct'
] as const

/**
 * A collection of which each statement is bounded in time, and whose failures are the store's own: see
 * connection.ts.
 */
export type BoundedCollection<T extends Document> =
  & Pick<Collection<T>, typeof STATEMENTS[number] | 'watch'>
  & {
    /** All that `filter` finds. It is one statement: where there may be thousands, it needs a `limit`. */
    findMany (filter: Filter<T>, options?: FindOptions): Promise<Array<WithId<T>>>
    aggregateMany<R extends Document> (pipeline: Document[], options?: AggregateOptions): Promise<R[]>
  }

/** Runs one statement, which its name shows to operators. */
export type RunStatement = <R>(name: string, work: () => Promise<R>) => Promise<R>

export function boundCollection<T extends Document> (
  collection: Collection<T>,
  run: RunStatement
): BoundedCollection<T> {
  const named = (name: string) => `${name} of ${collection.namespace}`
  const statements = STATEMENTS.map(name => {
    const statement = collection[name].bind(collection) as (...args: unknown[]) => Promise<unknown>
    return [name, (...args: unknown[]) => run(named(name), () => statement(...args))]
  })
  return {
    ...Object.fromEntries(statements) as Pick<Collection<T>, typeof STATEMENTS[number]>,
    watch: collection.watch.bind(collection),
    findMany: (filter, options) => run(named('find'), () => collection.find(filter, options).toArray()),
    aggregateMany: (pipeline, options) =>
      run(named('aggregate'), () => collection.aggregate<never>(pipeline, options).toArray())
  }
}
