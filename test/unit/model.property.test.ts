import fc from 'fast-check'
import t from 'tap'
import { deploy, rest, step, take, uncordon, type Step } from './model/steps.js'
import { World } from './model/world.js'

/** Rounds in which all has to come to rest: hours, since clusters that come and go are left alone for so long. */
const ROUNDS = 400
/** Deploys of a user who sees what was given up. */
const MENDINGS = 6

function play (steps: readonly Step[]): World {
  const world = new World()
  for (const step of steps) {
    take(world, step)
    world.check()
  }
  return world
}

/** What is not as it is to be in the end. */
function unrest (world: World): string[] {
  const found: string[] = []
  const say = (condition: boolean, text: string) => { if (condition) found.push(text) }
  for (const job of world.jobs) {
    const { job_name: name, descriptor, rollout, retiring, due_at: dueAt, instance_list: list } = job
    say(rollout !== null, `${name} is being updated`)
    say(retiring.length > 0, `${name} has something to remove`)
    say(dueAt !== null, `${name} is due at ${dueAt}`)
    if (job.desired_state === 'undeployed') say(job.status !== 'UNDEPLOYED', `${name} is not undeployed`)
    for (const { instance_number: number, status, move, generation } of list) {
      say(status !== 'RUNNING' || move !== null || generation !== job.generation, `${name} ${number} is ${status}`)
    }
    for (const { model } of world.members) {
      const runs = model.jobs.get(job.id) ?? new Map()
      const listed = list.filter(entry => entry.cluster_id === model.id).map(entry => entry.instance_number)
      say([...runs.keys()].sort().join() !== listed.sort().join(), `${model.id} runs ${[...runs.keys()]} of ${name} instead of ${listed}`)
      say([...runs.values()].some(({ image, status }) => image !== descriptor.image || status !== 'RUNNING'), `${model.id} does not run ${descriptor.image}`)
    }
  }
  for (const { model } of world.members) say(world.store.pending(model.id).length > 0, `${model.id} has commands to take`)
  return found
}

function converge (world: World): void {
  world.failing = () => false
  for (const member of world.members) {
    world.comeBack(member, 'all')
    uncordon(world, member)
  }
  let mendings = 0
  for (let round = 0; round < ROUNDS; round++) {
    rest(world, round < 60 ? 15 : 60)
    world.check()
    if (unrest(world).length === 0) return
    // What was given up for good waits for its user, who deploys it again.
    for (const job of world.jobs.filter(({ instance_list: list }) => list.some(({ status, status_reason: why }) => status === 'FAILED' && why?.startsWith('given up')))) {
      if (mendings++ < MENDINGS) deploy(world, job, { ...job.descriptor, image: `mended-${mendings}` })
    }
  }
  throw new Error(unrest(world).join('; '))
}

const RANDOM_SEED = Date.now() % 0x7fffffff

for (const [what, seed, numRuns] of [['', 42, 800], [' (a new seed each time)', RANDOM_SEED, 200]] as const) {
  t.test(`whatever happens, the invariants hold, and when it is over each instance runs exactly once${what}`, async () => {
    fc.assert(fc.property(fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }), steps => converge(play(steps))), { seed, numRuns })
  })
}
