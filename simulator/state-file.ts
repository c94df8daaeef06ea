import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { Type, type Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Count, HexId, Nullable } from '../schemas/primitives.js'
import { Status } from '../schemas/status.js'
import { JobDocument } from './job-document.js'

/** One instance of a service, as run by a worker. */
export const Container = Type.Object({
  instance_number: Count(),
  worker: Type.String(),
  status: Status,
  namespace_ip: Type.String(),
  host_port: Type.Integer(),
  /** What it was started from: the image, all fields (originOf), and their generation. */
  image: Type.String(),
  origin: Type.String(),
  generation: Type.Optional(Type.Integer())
})
export type Container = Static<typeof Container>

/** A job of a simulated cluster: running, or refused and without containers. */
export const ClusterJob = Type.Object({
  document: JobDocument,
  containers: Type.Array(Container),
  refusal: Nullable(Status)
})
export type ClusterJob = Omit<Static<typeof ClusterJob>, 'document'> & { document: JobDocument }

/** The state that a simulated cluster needs after a restart. */
const ClusterState = Type.Object({
  cluster_id: Type.Optional(HexId),
  last_seq: Type.Optional(Count()),
  answered: Type.Array(Type.Object({ command_id: Type.String(), seq: Count(), answer: Nullable(Type.String()) })),
  jobs: Type.Array(ClusterJob)
})
type ClusterState = Omit<Static<typeof ClusterState>, 'jobs'> & { jobs: ClusterJob[] }

const clusterState = TypeCompiler.Compile(ClusterState)

/** Reads the state; undefined if there is no file yet. Throws if its content is not a state. */
export function readState (file: string): ClusterState | undefined {
  if (!existsSync(file)) return undefined
  const state: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const error = clusterState.Errors(state).First()
  if (error) throw new Error(`${file} does not hold the state of a cluster: ${error.path} ${error.message}`)
  return state as ClusterState
}

/** Writes the state durably: after a crash, the file has either the new state or the old one. */
export function writeState (file: string, state: ClusterState): void {
  const fresh = `${file}.new`
  const descriptor = openSync(fresh, 'w')
  try {
    writeFileSync(descriptor, JSON.stringify(state))
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  renameSync(fresh, file)
}
