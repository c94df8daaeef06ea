import type {
  AggregateOptions,
  ChangeStream,
  ChangeStreamDocument,
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
  & Pick<Collection<T>, typeof STATEMENTS[number]>
  & {
    /** Opens a change stream; its first answer may bring a change. */
    watch (pipeline: Document[]): Promise<{
      stream: ChangeStream<T, ChangeStreamDocument<T>>
      first: ChangeStreamDocument<T> | null
    }>
    /** All that `filter` finds. It is one statement: where there may be thousands, it needs a `limit`. */
    findMany (filter: Filter<T>, options?: FindOptions): Promise<Array<WithId<T>>>
    /** The same for what is asked after a failure, which has taken its time: of what a majority has, and soon. */
    look (filter: Filter<T>, options?: FindOptions): Promise<Array<WithId<T>>>
    aggregateMany<R extends Document> (pipeline: Document[], options?: AggregateOptions): Promise<R[]>
  }

/**
 * Runs one statement, which its name shows to operators.
 * @param answerMs Milliseconds that it has, if less than others.
 */
export type RunStatement = <R>(name: string, work: () => Promise<R>, answerMs?: number) => Promise<R>

/** Milliseconds that a look after a failure has. */
const LOOK_MS = 200

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
    watch: pipeline =>
      run(named('watch'), async () => {
        const stream = collection.watch<T, ChangeStreamDocument<T>>(pipeline)
        try {
          // Opens it: only then the server says whether it has such a thing. Its answer may bring a change already.
          return { stream, first: await stream.tryNext() }
        } catch (err) {
          stream.close().catch(() => {})
          throw err
        }
      }),
    findMany: (filter, options) => run(named('find'), () => collection.find(filter, options).toArray()),
    look: (filter, options) =>
      run(named('look'), () => collection.find(filter, { ...options, readConcern: 'majority' }).toArray(), LOOK_MS),
    aggregateMany: (pipeline, options) =>
      run(named('aggregate'), () => collection.aggregate<never>(pipeline, options).toArray())
  }
}
