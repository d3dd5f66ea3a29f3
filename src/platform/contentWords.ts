/**
 * The list that counts when the setting CONTENT_WORDS gives none: insults and offers that mean nothing else. It is short on
 * purpose; whoever runs a public room knows their own language and law better. Form: see `readWordList`.
 */
export const DEFAULT_CONTENT_WORDS = [
  // Chinese, in both ways of writing.
  [
    "傻逼",
    "傻屄",
    "傻b",
    "操你妈",
    "操你娘",
    "操你大爷",
    "操你全家",
    "操你祖宗",
    "草你妈",
    "艹你妈",
    "肏",
    "幹你娘",
    "干你娘",
  ],
  [
    "你妈屄",
    "妈了个逼",
    "媽了個逼",
    "狗日的",
    "狗娘养的",
    "婊子",
    "婊砸",
    "鸡巴",
    "雞巴",
    "屌你老母",
    "王八蛋",
    "杂种",
    "雜種",
  ],
  ["贱货", "賤貨", "死全家", "裸聊", "约炮", "約炮", "援交", "代开发票", "办假证"],
  ["caonima", "nmsl", "shabi"],
  // Words in which these stand by chance.
  ["!体操", "!體操", "!曹操", "!早操", "!做操", "!广播操", "!课间操", "!健美操", "!节操", "!情操", "!草你妈妈"],
  ["!复杂", "!混杂", "!夹杂", "!嘈杂", "!複雜", "!混雜", "!杂种优势", "!杂种犬", "!田鸡巴", "!火鸡巴", "!鸡巴士"],
  [
    "!大约",
    "!大約",
    "!炮弹",
    "!炮兵",
    "!炮火",
    "!公约",
    "!条约",
    "!合约",
    "!预约",
    "!节约",
    "!支援",
    "!救援",
    "!增援",
    "!声援",
    "!后援",
    "!外援",
  ],
  // Korean, Russian, Spanish, German, French.
  ["씨발", "!씨발아", "시발놈", "개새끼", "병신새끼", "пизд*", "хуй", "ебать", "бляд*"],
  ["hijo de puta", "gilipollas", "arschloch", "hurensohn", "wichser", "fils de pute", "enculé", "connard"],
]
  .flat()
  .join(",");
