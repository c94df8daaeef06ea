import { Type, type Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Count, HexId, Nullable, Quantity } from '../schemas/primitives.js'
import type { Requirements } from './workers.js'

/** The fields of a job document that a cluster reads (contract sections 6 and 7). */
export const JobDocument = Type.Object({
  _id: HexId,
  job_name: Type.String(),
  image: Type.String(),
  image_runtime: Type.String(),
  port: Type.Optional(Nullable(Type.Union([Type.Integer(), Type.String()]))),
  node: Type.Optional(Nullable(Type.String())),
  requirements: Type.Optional(Nullable(Type.Object({
    cpu: Type.Optional(Nullable(Quantity())),
    memory: Type.Optional(Nullable(Quantity())),
    node: Type.Optional(Nullable(Type.String()))
  }, { additionalProperties: true }))),
  instance_list: Type.Array(Type.Object({
    instance_number: Count(),
    cluster_id: Type.String(),
    generation: Type.Optional(Type.Integer())
  }, { additionalProperties: true })),
  system_manager: Type.Optional(
    Type.Object({ generation: Type.Optional(Type.Integer()) }, { additionalProperties: true })
  )
}, { additionalProperties: true })
export type JobDocument = Static<typeof JobDocument> & Record<string, unknown>

const jobDocument = TypeCompiler.Compile(JobDocument)

/** Checks a job document. Returns one sentence about a document that cannot be used. */
export function readJobDocument (value: unknown): JobDocument | string {
  if (jobDocument.Check(value)) return value as JobDocument
  const error = jobDocument.Errors(value).First()
  return `job${error?.path.replaceAll('/', '.') ?? ''}: ${error?.message ?? 'not understood'}`
}

/** An instance that a cluster should run. If it has no generation of its own, it has that of the job. */
export interface DesiredInstance {
  number: number
  generation: number | undefined
  /** The only worker allowed, whatever the document says. */
  node?: string | undefined
}

export function instancesFor (document: JobDocument, clusterId: string): DesiredInstance[] {
  return document.instance_list
    .filter(instance => instance.cluster_id === clusterId)
    .map(({ instance_number: number, generation = document.system_manager?.generation }) => ({ number, generation }))
}

/** The requirements of each instance. */
export function requirementsOf (document: JobDocument): Requirements {
  return {
    need: { cpu: document.requirements?.cpu ?? 0, memoryMb: document.requirements?.memory ?? 0 },
    technology: document.image_runtime,
    node: document.node || document.requirements?.node || undefined
  }
}

/** The fields that a container is started from, as text: if they change, it has to be restarted. */
export function originOf ({ image, image_runtime, port, cmd, environment, volumes }: JobDocument): string {
  return JSON.stringify({ image, image_runtime, port, cmd, environment, volumes })
}

/** The host port of "8080:80", of several ports the first; undefined if the descriptor leaves it to the cluster. */
export function publishedPort (document: JobDocument): number | undefined {
  const [first = ''] = String(document.port ?? '').split(/[;/]/, 1)
  const [host, container] = first.split(':')
  return container === undefined ? undefined : Number(host)
}
