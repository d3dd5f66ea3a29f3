import { describe, it } from "vitest";
import { contentFilterOf, makeContentFilter } from "./contentFilter.ts";
import { DEFAULT_CONTENT_WORDS } from "./contentWords.ts";

const { rejects } = makeContentFilter(DEFAULT_CONTENT_WORDS);

/** Sentences with words that naive filters stumble over. */
const INNOCENT_ENGLISH = `
Scunthorpe is a town in Lincolnshire, and Penistone one in Yorkshire.
Please assess the assignment in class before you pass it on.
Room 455, flight 4551, 5 455 steps, 455 455 visitors, dial 0800 455 455, build cc29kx_5 455.
We sell assorted classics; the assortment of brass bass guitars is massive.
The analyst did an analysis of analog signals and canal traffic.
Road traffickers? No: traffic wardens. They stop trafficking in wildlife.
The feckless assassin embarrassed the ambassador on a grassy compass course.
I had a cocktail in the cockpit, a peacock walked by, and the cockerel crowed.
Cock-a-doodle-doo, said the cockatoo to the cockroach.
Dick Cheney met Dickens, Dickinson and Moby Dick.
Shiitake and shitake mushrooms with cumin, cucumber and a cummerbund.
Mr Cummings drove through Cumbria with the cumulative documents.
The pussycat and the pussy willow; James Bond in Octopussy pussyfooted around.
Rapeseed oil and grapes from a skyscraper terrace near the parapet.
The Wankel engine and the flame retardant needed retarding ignition.
A chink in the armour; blue tits and great tits in the garden.
Tit for tat, said the title of the constitution institute.
Montenegro, Rio Negro, the Negroni, Niger and Nigeria; nobody is niggardly.
Essex, Sussex and Middlesex; sex education belongs in the biology class.
The vaginal exam, the penis and the semen sample were on the urology syllabus.
He scored a hat-trick; that trick is prickly, so I pricked my finger.
A hooker in rugby union passes the ball; the turducken is in the oven on Saturday.
Shuttlecock, weathercock, stopcock, Hancock and Hitchcock.
This homogeneous basement advertisement; a statement about tenements.
Cassandra Bassett classified the passengers as harassed.
Let's do a debugger session, the shell script says hello to hell's kitchen.
My spastic colon... no; my classmate's scat singing is jazz.
Van Dyke painted the dyke in Holland; the Dutch boy put his finger in it.
Popcorn, acorn, unicorn, Capricorn and corn on the cob.
Arsenal won; arsenic is poisonous; parse the sparse, coarse, hoarse sentence.
The specialist therapist circumvented the circus on circumstances.
I am a U S citizen; see section 3 a b c and plan b.
Who're you? Where's the shore? A whole horehound shoe.
Kick-ass is a film; asses the size of donkeys; a wild ass in the zoo.
Matsushita, Fukuoka, Fukushima, Shitamachi and Takeshita Street.
Phuket is an island; Dongguan a city; Batman lives in Gotham.
sextant sextet sexton; buttress, button, butt joint; titanic titration
`;

const INNOCENT_CHINESE = `
草莓很好吃,我买了两斤草莓。
我操作电脑,他做体操,曹操是三国人物。
体操你妈妈会吗?早操你妈来看了吗?
你妈逼你结婚了吗?我妈逼我去上学。
他妈的手机丢了,你妈的房间在楼上,回去你妈的家。
生日你妈妈来吗?今日你妈妈打电话来了。
大约炮弹三千发,公约炮制了规则。
支援交通警察,救援交给我们,声援交流活动。
田鸡巴掌大,火鸡巴西产。
复杂种类很多,混杂种植,夹杂种种问题,杂种优势是生物学概念。
这些草你妈妈种的吗?
傻瓜相机,他很傻。逼他也没用。
鸡蛋、鸭蛋、王八、乌龟都在池塘里。
你好,今天天气真好,我们去公园散步吧。
这个 bug 傻bug 了?
他操心孩子,情操高尚,节操满分。
日本、日照、节日、日你好像写错了。
干你该干的事,干部、干净、能干。
贱卖、卑贱、贵贱不论;货物、百货。
`;

const OBSCENE = `
fuck you|FUCK|fuuuuck|ＦＵＣＫ|f\u200Buck|f u c k|f.u.c.k|sh1t|bullshit|b1tch|asshole|you are an ass|cunt|nigger|motherfucker
suck my dick|dickhead|nice tits|porn here|slut|whore|wanker|twat|faggot|retard
傻逼|你这个傻 逼|傻\u200B逼|傻*逼|操你妈|我操你妈的|草你妈|婊子|狗日的|鸡巴|雞巴|杂种|王八蛋|裸聊加我|约炮吗|幹你娘
caonima|NMSL|씨발|пиздец|хуй|hijo de puta|Arschloch|enculé
`;

describe("the content filter as it comes", () => {
  for (const sentence of (INNOCENT_ENGLISH + INNOCENT_CHINESE).trim().split("\n")) {
    it(`passes: ${sentence}`, ({ expect }) => expect(rejects(sentence)).toBe(false));
  }

  it("passes the words of innocent sentences one by one, as names are", ({ expect }) => {
    const words = INNOCENT_ENGLISH.split(/[^\p{L}-]+/u);
    // Alone, these are what they are: a part of a phrase that makes them innocent.
    const parts = new Set(["chink", "pussy", "Negro", "asses", "ass"]);
    expect(words.filter((word) => !parts.has(word) && rejects(word))).toEqual([]);
  });

  for (const text of OBSCENE.split(/[\n|]/).filter((one) => one !== "")) {
    it(`refuses: ${text}`, ({ expect }) => expect(rejects(text)).toBe(true));
  }

  it("is quick with the longest messages, whatever they are made of", ({ expect }) => {
    const began = performance.now();
    for (const unit of ["a", "f u ", "傻 ", "操", "\u200B", "ass ", "!@#$", "é\u0336"]) {
      rejects(unit.repeat(8_000).slice(0, 8_000));
    }
    // Milliseconds each; seconds would be a pattern that backtracks.
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("its settings", () => {
  const JWT_KEYS = `k:${"a".repeat(43)}`;

  it("CONTENT_FILTER=off lets everything pass", ({ expect }) => {
    expect(contentFilterOf({ JWT_KEYS, CONTENT_FILTER: "off" }).rejects("fuck")).toBe(false);
    expect(contentFilterOf({ JWT_KEYS }).rejects("fuck")).toBe(true);
  });

  it("CONTENT_WORDS takes the place of the built-in list, in as many variables as it needs", ({ expect }) => {
    const own = contentFilterOf({ JWT_KEYS, CONTENT_WORDS: "spam", CONTENT_WORDS_2: "垃圾,!垃圾桶" });
    expect(own.rejects("spam")).toBe(true);
    expect(own.rejects("垃圾")).toBe(true);
    expect(own.rejects("垃圾桶")).toBe(false);
    expect(own.rejects("傻逼")).toBe(false);
    expect(own.rejects("fuck")).toBe(true);
  });

  it("an exception counts for English as well", ({ expect }) => {
    expect(contentFilterOf({ JWT_KEYS, CONTENT_WORDS: "!Fuckingen" }).rejects("Fuckingen in Austria")).toBe(false);
  });
});
