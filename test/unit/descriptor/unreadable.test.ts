import t from 'tap'
import { complaints, least, readDescriptor, refusal } from './sample.js'

function unreadable (text: string): string[] {
  const { code } = refusal(text)
  if (code !== 'descriptor_unreadable') throw new Error(`it is ${code}`)
  return complaints(text)
}

t.test('broken syntax is reported with its place', async (t) => {
  t.strictSame(unreadable('{"app_name": "demo",, "x": 1}'), ['1:21 : unexpected , in flow map'])
  t.strictSame(unreadable(`${least}port: "80\n`), ['7:1 : missing closing "quote'])
  t.strictSame(unreadable('app_name: demo\n\tapp_ns: x\n').at(0), '2:1 : tabs are not allowed as indentation')
  t.equal(refusal('app_name: demo\nx:\n\ty: 1\n').hint, 'Indent with spaces, not with tabs.')
  t.equal(refusal(`${least}cmd: echo: hi\n`).message, 'Line 6, column 6: a list or a mapping cannot begin here, in the middle of a value')
})

t.test('a key that stands twice is refused where it stands again, also when one is a number', async (t) => {
  t.strictSame(unreadable(`${least}image: other\nx:\n  a: 1\n  b: 2\n  a: 3\n`), [
    '6:1 image: the key "image" is a duplicate',
    '10:3 x.a: the key "a" is a duplicate'
  ])
  t.strictSame(unreadable('{"a": {"1": 1, 1: 2}}'), ['1:16 a.1: the key "1" is a duplicate'])
  t.strictSame(unreadable('{"app_name": "a", "app_name": "b"}'), ['1:19 app_name: the key "app_name" is a duplicate'])
})

t.test('keys that reach into prototypes are refused at every depth and in every spelling', async (t) => {
  t.strictSame(unreadable(`${least}__proto__: {admin: true}\nx: [{"constructor": 1}, {'prototype': 1}, {"\\u005f_proto__": 1}]\n`), [
    '6:1 __proto__: the key __proto__ is not allowed anywhere',
    '7:6 x[0].constructor: the key constructor is not allowed anywhere',
    '7:26 x[1].prototype: the key prototype is not allowed anywhere',
    '7:44 x[2].__proto__: the key __proto__ is not allowed anywhere'
  ])
  t.notOk('admin' in {})
})

t.test('other names of object members are keys like any', async (t) => {
  t.strictSame(readDescriptor(`${least}toString: a\nhasOwnProperty: b\n`).hasOwnProperty, 'b')
})

t.test('tags beyond plain YAML are refused, the plain ones are fine', async (t) => {
  t.strictSame(unreadable(`${least}a: !foo 1\nb: !!js/function "x"\nc: !!binary aGk=\nd: !!timestamp 2021-10-19\ne: !!set {a}\n`), [
    '6:4 : the tag !foo is not supported',
    '7:4 : the tag !!js/function is not supported',
    '8:4 : the tag !!binary is not supported',
    '9:4 : the tag !!timestamp is not supported',
    '10:4 : the tag !!set is not supported'
  ])
  t.strictSame(readDescriptor(`${least}x: [!!str 80, !!int "80", !!map {}, !!seq []]\n`).x, ['80', 80, {}, []])
})

t.test('keys that are not plain text are refused', async (t) => {
  const message = 'a key must be plain text, not a list, a mapping or an alias'
  t.strictSame(unreadable('? [a]\n: 1\n'), [`1:3 : ${message}`])
  t.strictSame(unreadable('x: {{ value }}\n'), [`1:5 : ${message}`])
  t.strictSame(unreadable('&a a: 1\n*a : 2\n'), [`2:1 : ${message}`])
  t.strictSame(unreadable('a: 1\n: 2\n'), ['2:1 [""]: a key is missing before the ":"'])
  t.strictSame(unreadable(`${least}"a\\0": 1\n`), ['6:1 ["a\\u0000"]: a key must not contain NUL or half of a surrogate pair'])
})

t.test('merge keys are refused, since they would be passed on as a field called <<', async (t) => {
  t.strictSame(unreadable(`base: &b {image: x}\n${least}<<: *b\n`), ['7:1 ["<<"]: merge keys (<<) are not part of YAML 1.2'])
  t.equal(readDescriptor(`${least}"<<": 1\n`)['<<'], 1)
})

t.test('YAML 1.1 is refused instead of read differently, and so are directives nobody knows', async (t) => {
  t.strictSame(unreadable(`%YAML 1.1\n---\n${least}`), ['1:1 : expected YAML 1.2, got %YAML 1.1'])
  t.strictSame(unreadable(`%FOO bar\n---\n${least}`), ['1:1 : unknown directive %FOO'])
})

t.test('anything but a mapping is refused', async (t) => {
  const expected = 'expected a mapping of fields, like "app_name: demo", got'
  t.strictSame(unreadable('- app_name: demo\n'), [`1:1 : ${expected} a list`])
  t.strictSame(unreadable('\n42\n'), [`2:1 : ${expected} the number 42`])
  t.strictSame(unreadable('"{}"'), [`1:1 : ${expected} the string "{}"`])
  t.equal(refusal('deploy.yaml\n').hint, 'This is the name of a file, not its content. With curl, write -F file=@deploy.yaml')
})

t.test('undefined and recursive aliases are refused', async (t) => {
  t.strictSame(unreadable('a: *b\nb: &b 1\n'), ['1:4 a: there is no anchor &b before the alias *b'])
  t.strictSame(unreadable('a: &a {b: [1, *a]}\n'), ['1:15 a.b[1]: the alias *a is inside the value that it repeats'])
})

t.test('control characters are refused where they stand', async (t) => {
  t.strictSame(unreadable(`${least}x: a\0b\n`), ['6:5 : the control character \\x00 is not allowed in YAML or JSON'])
  t.strictSame(unreadable('a: \x1fb'), ['1:4 : the control character \\x1f is not allowed in YAML or JSON'])
})

t.test('an unknown escape is refused with advice, and a backslash elsewhere is none', async (t) => {
  t.strictSame(unreadable(`${least}x: "C:\\\\a\\data"\n`), ['6:10 : the escape \\d is not known'])
  t.match(refusal(`${least}x: "\\d"\n`).hint, 'single quotes')
  const { x } = readDescriptor(`${least}x: ['"\\d', "\\x41\\u0042\\U0001F600\\/\\\ty", \\d+]\n`)
  t.strictSame(x, ['"\\d', 'AB😀/\ty', '\\d+'])
  t.equal(readDescriptor(`${least}x: |\n  "\\d"\n`).x, '"\\d"\n')
  t.equal(readDescriptor(`${least}x: "a\\\r\n  b"\n`).x, 'ab')
})

t.test('nesting is taken to level 32 and refused beyond, in each style and through aliases', async (t) => {
  const levels = (n: number): Record<string, string> => ({
    flow: `${least}x: ${'['.repeat(n - 1)}${']'.repeat(n - 1)}\n`,
    maps: `${least}x: ${'{a: '.repeat(n - 1)}1${'}'.repeat(n - 1)}\n`,
    dashes: `${least}x:\n ${'- '.repeat(n - 1)}1\n`,
    block: `${least}${Array.from({ length: n }, (_, i) => `${' '.repeat(i)}x:\n`).join('')}${' '.repeat(n)}1\n`,
    aliases: `${least}x: &x ${'['.repeat(20)}${']'.repeat(20)}\ny: ${'['.repeat(n - 21)}*x${']'.repeat(n - 21)}\n`
  })
  for (const [style, text] of Object.entries(levels(32))) t.doesNotThrow(() => readDescriptor(text), style)
  for (const [style, text] of Object.entries(levels(33))) t.match(unreadable(text)[0], 'more than 32 levels of nesting are too deep', style)
})

t.test('at most 50 defects are listed, and the rest is counted', async (t) => {
  const error = refusal('a: one\n'.repeat(1000))
  t.equal(error.violations?.length, 50)
  t.match(error.message, '(and 998 more)')
})
