import { readFileSync, readdirSync } from 'node:fs'
import t from 'tap'
import { Descriptor } from '../../../schemas/descriptor.js'
import { readDescriptors } from './sample.js'

const root = new URL('../../../', import.meta.url)
const documentation = readFileSync(new URL('docs/descriptor.md', root), 'utf8')
const blocks = [...documentation.matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => text)

t.test('every descriptor of the documentation and every example is read', async t => {
  t.same(blocks.map(text => readDescriptors(text).length), [1, 1, 2, 3])
  for (const name of readdirSync(new URL('examples/', root))) {
    t.doesNotThrow(() => readDescriptors(readFileSync(new URL(`examples/${name}`, root), 'utf8')), name)
  }
})

t.test('the documentation has every field, in the table and in the example of everything', async t => {
  const [, everything = ''] = blocks
  const [descriptor] = readDescriptors(everything)
  const { requirements, rollout, ...others } = Descriptor.properties
  const fields = [...Object.keys(others), ...Object.keys(requirements.properties).map(key => `requirements.${key}`), ...Object.keys(rollout.properties).map(key => `rollout.${key}`)]
  for (const field of fields) {
    t.match(documentation, `\`${field}\``, field)
    t.not(field.split('.').reduce<any>((value, key) => value[key], descriptor), undefined, field)
  }
})

t.test('the documented rules of inheritance hold for the example', async t => {
  t.match(readDescriptors(blocks[2]!), [
    { service_name: 'web', service_ns: 'test', cluster_location: 'hpi', requirements: { cpu: 0.5, memory: 100 } },
    { service_name: 'cache', service_ns: 'test', requirements: { cpu: undefined, memory: 500 }, cluster_location: undefined }
  ])
})
