import fc from 'fast-check'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Job } from '../../../schemas/job.js'
import { created, rolledBackTo, updated } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { undeploying } from '../../../services/job-lifecycle/state-machine/decisions/undeploy.js'
import { drainEnded, moved } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { scaled } from '../../../services/job-lifecycle/state-machine/decisions/scale.js'
import { sampleDescriptor } from '../state-machine/sample.js'
import { CLUSTERS, POLICY, type Member, type World } from './world.js'

/** Something that happens to the world, as data, so that a counterexample can be read and shrunk. */
export type Step =
  | { do: 'deploy', name: string, more: Partial<Descriptor> }
  | { do: 'scale', name: string, replicas: number }
  | { do: 'move', name: string, to: string, number: number | undefined, order: 'start-first' | 'stop-first' }
  | { do: 'roll back' | 'undeploy', name: string }
  | { do: 'drain' | 'uncordon' | 'cordon' | 'die' | 'forget' | 'heartbeat' | 'climb', cluster: number }
  | { do: 'come back', cluster: number, having: Parameters<World['comeBack']>[1] }
  | { do: 'deliver', cluster: number, answer: Parameters<World['deliver']>[1] }
  | { do: 'old heartbeat', cluster: number, age: number }
  | { do: 'stop', cluster: number, status: 'FAILED' | 'DEAD' }
  | { do: 'ghost', cluster: number }
  | { do: 'wait', seconds: number }
  | { do: 'place' | 'upkeep' | 'rest' }

const name = fc.constantFrom('one', 'two')
const cluster = fc.nat(CLUSTERS.length - 1)
const place = fc.constantFrom('north', 'south', 'a')
const image = fc.constantFrom('v1', 'v2', 'v3', 'broken')
const rollout = fc.record({
  max_unavailable: fc.nat(2), max_surge: fc.nat(2), deadline_s: fc.constantFrom(60, 600), auto_rollback: fc.boolean()
}, { requiredKeys: [] })
const more: fc.Arbitrary<Partial<Descriptor>> = fc.record({
  image, replicas: fc.nat(4), cluster_location: place, failover: fc.constant('any' as const), placement: fc.constant('pack' as const), rollout
}, { requiredKeys: ['image'] })
const kind = <T extends string>(...kinds: T[]) => fc.constantFrom(...kinds)

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: kind('deploy'), name, more }) },
  { weight: 2, arbitrary: fc.record({ do: kind('scale'), name, replicas: fc.nat(4) }) },
  { weight: 4, arbitrary: fc.record({ do: kind('move'), name, to: place, number: fc.option(fc.nat(3), { nil: undefined }), order: kind('start-first', 'stop-first') }) },
  { weight: 1, arbitrary: fc.record({ do: kind('roll back', 'undeploy'), name }) },
  { weight: 3, arbitrary: fc.record({ do: kind('drain', 'uncordon', 'cordon'), cluster }) },
  { weight: 2, arbitrary: fc.record({ do: kind('die', 'forget'), cluster }) },
  { weight: 3, arbitrary: fc.record({ do: kind('come back'), cluster, having: kind('all', 'nothing', 'nothing-but-resync') }) },
  { weight: 6, arbitrary: fc.record({ do: kind('deliver'), cluster, answer: kind('ack', 'ack-twice', 'lost-ack', 'no-room', 'refused', 'refused-but-done') }) },
  { weight: 6, arbitrary: fc.record({ do: kind('heartbeat', 'climb'), cluster }) },
  { weight: 1, arbitrary: fc.record({ do: kind('old heartbeat'), cluster, age: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: kind('stop'), cluster, status: kind('FAILED', 'DEAD') }) },
  { weight: 1, arbitrary: fc.record({ do: kind('ghost'), cluster }) },
  { weight: 4, arbitrary: fc.record({ do: kind('wait'), seconds: fc.constantFrom(1, 15, 50, 125, 310) }) },
  { weight: 5, arbitrary: fc.record({ do: kind('place') }) },
  { weight: 4, arbitrary: fc.record({ do: kind('upkeep') }) },
  { weight: 4, arbitrary: fc.record({ do: kind('rest') }) }
)

export function take (world: World, step: Step): unknown {
  const at = world.at
  const member = 'cluster' in step ? world.members[step.cluster]! : undefined
  const job = 'name' in step ? world.jobs.find(job => job.descriptor.service_name === step.name && job.desired_state === 'running') : undefined
  switch (step.do) {
    case 'deploy': return deploy(world, job, sampleDescriptor({ requirements: { cpu: 1 }, service_name: step.name, ...step.more }))
    case 'scale': return (job && world.commit(scaled(job, step.replicas, 'user', at)))
    case 'move': return (job && move(world, job, step))
    case 'roll back': return (job?.revisions[0] && world.commit(rolledBackTo(job, job.revisions[0], { policy: POLICY, cause: 'user', mayStay: world.mayStay(job.revisions[0].descriptor) }, at)))
    case 'undeploy': return (job && world.commit(undeploying(job, 'user', at)))
    case 'drain':
      member!.known.scheduling = 'draining'
      return world.decide(job => moved(job, { from: new Set([member!.known.id]), location: null, why: 'drain', order: 'start-first' }, 'user', at))
    case 'uncordon': return uncordon(world, member!)
    case 'cordon': member!.known.scheduling = 'cordoned'; return
    case 'die': return world.die(member!)
    case 'forget': return world.forget(step.cluster)
    case 'come back': return world.comeBack(member!, step.having)
    case 'deliver': return world.deliver(member!, step.answer)
    case 'heartbeat': return world.heartbeat(member!)
    case 'climb': return member!.model.climb(world.failing)
    case 'old heartbeat': return world.report(member!, member!.told.at(-1 - step.age) ?? new Map())
    case 'stop': return [...member!.model.jobs.keys()].forEach(id => member!.model.stop(id, step.status))
    case 'ghost': return ghost(world, member!)
    case 'wait': world.now += step.seconds * 1000; return
    case 'place': return world.place()
    case 'upkeep': return world.maintenance()
    case 'rest': return rest(world)
  }
}

/** A quarter of a minute in which all that can be done is done. */
export function rest (world: World, seconds = 15): void {
  world.now += seconds * 1000
  for (const member of world.members) {
    while (world.deliver(member, 'ack'));
    if (member.alive) for (let climbs = 0; climbs < 2; climbs++) member.model.climb(world.failing)
    world.heartbeat(member)
  }
  world.maintenance()
  world.place()
}

export function deploy (world: World, job: Job | undefined, descriptor: Descriptor): void {
  if (!job) {
    world.commit(created(descriptor, 'user', world.at))
    return
  }
  const isElsewhere = descriptor.cluster_location !== undefined && descriptor.cluster_location !== job.descriptor.cluster_location
  world.commit(updated(job, descriptor, { policy: POLICY, cause: 'user', mayStay: isElsewhere ? world.mayStay(descriptor) : () => true }, world.at))
}

export function uncordon (world: World, { known }: Member): void {
  known.scheduling = 'active'
  world.decide(job => drainEnded(job, known.id, 'user', world.at))
}

/** As the user's side finds out what is meant. */
function move (world: World, job: Job, { to, number, order }: Extract<Step, { do: 'move' }>): void {
  const isTarget = world.mayStay(sampleDescriptor({ cluster_location: to }))
  const leaving = job.instance_list.filter(entry => entry.cluster_id !== '' && entry.move === null && !isTarget(entry.cluster_id) && (number === undefined || entry.instance_number === number))
  if (leaving.length === 0) return
  world.commit(moved(job, { from: new Set(leaving.map(entry => entry.cluster_id)), ...number !== undefined && { numbers: new Set([number]) }, location: to, why: 'asked', order }, 'user', world.at))
}

/** The cluster runs a job that it was never told to, or told to remove. */
function ghost (world: World, { model }: Member): void {
  const job = world.jobs.find(({ id, instance_list: list }) => !model.jobs.has(id) && !list.some(entry => entry.cluster_id === model.id))
  if (!job) return
  world.excused.add(`${model.id} ${job.id}`)
  model.jobs.set(job.id, new Map([[0, { generation: 0, image: 'v0', status: 'RUNNING' }]]))
}
