# handover 的全部中文语句。键名与变量名须与英文文件一致，由测试检查。
# 用语统一：移交、一次性代码（代码）、中继、回执、卖方、买方、邀请码、身份、密钥、指纹、例外项。

## 帮助：标题与用法

heading-usage = 用法:
heading-commands = 命令
heading-arguments = 参数
heading-options = 选项
heading-everywhere = 通用选项
usage-options = 选项
usage-command = 命令

## 帮助：值的名称

value-address = 主机[:端口]
value-code = 代码
value-command = 命令
value-count = 数量
value-dir = 文件夹
value-dir-or-id = 文件夹|编号
value-duration = 时长
value-file = 文件
value-file-or-id = 文件|编号
value-fingerprint = 指纹
value-glob = 模式
value-id = 编号
value-invite = 邀请码
value-language = 语言
value-level = 级别
value-name = 名称
value-path = 路径
value-proxy = 网址
value-policy = 方式
value-relay = 主机[:端口]|邀请码
value-shell = SHELL名称
value-size = 大小
value-text = 文字
value-transport = 方式
value-when = 时机

## 值应有的形式

expects-address = 应为主机名或地址，可带端口，例如 relay.example、192.0.2.7:4433 或 [2001:db8::1]:4433
expects-count = 应为整数
expects-duration = 应为数字加 m（分）、h（时）、d（天）或 w（周），例如 90m、36h、14d、2w、1d12h
expects-fingerprint = 应为 ssh-keygen -l 所显示的指纹：SHA256: 加 43 个字符
expects-id = 应为移交的编号，可用 `handover status` 查看
expects-language = 应为 en 或 zh-CN
expects-level = 应为 auto，或 1（快）到 19（小）之间的数字
expects-proxy = 应为代理地址，例如 http://proxy.example:3128 或 socks5://proxy.example:1080，或 none
expects-relay = 应为邀请码（hr1…@主机）、中继地址（例如 relay.example:4433）或 embedded
expects-size = 应为数字加 k、M 或 G，例如 64M 或 1.5G

## 帮助：程序与通用选项

help-handover = 把企业的客户资料完整、加密地移交给接手的买方，并取得带签名的回执
help-handover-json = 在标准输出上每行输出一个 JSON 对象
help-handover-quiet = 只输出结果和错误
help-handover-verbose = 输出供开发人员使用的日志；写两次则更详细
help-handover-no-input = 不提问；遇到必须回答的问题时以退出码 3 结束
help-handover-color = 是否使用颜色：auto（自动）、always（总是）、never（从不）
help-handover-lang = 语言：en 或 zh-CN；默认随系统
help-handover-home = 存放配置和状态的文件夹，代替默认位置
help-handover-proxy = 通过此 HTTP 或 SOCKS5 代理连接中继，代替 HTTPS_PROXY 或 ALL_PROXY 中的代理；none 表示不用代理
help-handover-transport = 连接中继的方式：auto（自动：QUIC，UDP 不通时用 TCP）、quic 或 tcp
help-handover-help = 显示帮助
help-handover-version = 显示版本

## 帮助：命令

help-push = 加密文件和文件夹，发送到中继，并给出一次性代码（也可写作 send）
help-push-paths = 要移交的文件和文件夹；- 表示读取标准输入
help-push-relay = 使用的中继：地址、邀请码，或 embedded（由本程序自带中继）；默认为中继簿中的第一个
help-push-expires = 中继保存数据的时间，例如 14d（m 分、h 时、d 天、w 周）
help-push-label = 本次移交的名称，买方可以看到
help-push-exclude = 排除匹配的内容，规则同 gitignore：以最后匹配的一条为准；可重复使用
help-push-include = 保留匹配的内容，即使它会被其他规则排除；可重复使用
help-push-exclude-from = 从文件读取排除规则，每行一条；可重复使用
help-push-follow = 发送符号链接所指向的内容，而不是链接本身
help-push-dry-run = 只显示将要发送的内容，不实际发送
help-push-level = 压缩级别：auto（自动），或 1（快）到 19（小）
help-push-wait = 一直等到收到买方的回执
help-push-no-qr = 不显示代码的二维码
help-push-code-file = 同时把代码写入此文件，只有您自己可以读取
help-push-new = 即使可以继续同一路径的未完成移交，也重新开始一次移交
help-push-name = 标准输入内容的名称

help-pull = 显示对方移交的内容，取回、校验、放置到位，并签署回执（也可写作 receive）
help-pull-code = 一次性代码，各种写法均可，包括助记词；省略时会提示输入
help-pull-out = 存放所收内容的文件夹，不存在则创建；- 表示写到标准输出；默认为当前文件夹
help-pull-list = 只显示移交的内容，不取回；代码仍然有效
help-pull-conflict = 遇到同名的其他文件时：ask（询问）、skip（跳过）、rename（改名）、overwrite（覆盖）、fail（中止）
help-pull-yes = 对所有“是否”问题回答“是”
help-pull-code-file = 从此文件读取代码
help-pull-relay = 使用此中继，代替代码中的中继

help-status = 显示本机的全部移交，或某次移交的详情（也可写作 list）
help-status-id = 移交的编号

help-wait = 等待买方的回执，直到收到或确定不会再有
help-wait-id = 移交的编号

help-resume = 继续被中断的移交：一次或全部
help-resume-id = 移交的编号

help-revoke = 作废代码，并删除中继上的数据
help-revoke-id = 移交的编号

help-code = 在代码尚未被使用时，再次显示某次移交的代码
help-code-id = 移交的编号
help-code-words = 显示为 15 个英文单词，便于口头告知
help-code-chinese = 显示为 15 个汉字，便于口头告知
help-code-qr = 同时显示二维码

help-receipt = 查看、校验或导出回执
help-receipt-show = 显示某次移交的回执
help-receipt-show-id = 移交的编号
help-receipt-verify = 校验任何人提供的回执，无需网络
help-receipt-verify-file = receipt.json 文件，或移交的编号
help-receipt-verify-signature = 签名文件；默认为同名加 .sig 的文件
help-receipt-verify-allowed-signers = 只接受此文件中的签名者（OpenSSH 格式）；默认接受任何密钥并显示其指纹
help-receipt-export = 写出 receipt.json、receipt.json.sig 和 allowed_signers
help-receipt-export-id = 移交的编号
help-receipt-export-folder = 写入的文件夹，不存在则创建
help-audit = 查看、校验或导出中继的签名日志中关于某次移交的内容
help-audit-show = 显示日志条目和中继的删除声明，并校验
help-audit-show-id = 移交的编号
help-audit-verify = 校验日志，无需网络；给出两份时，还校验双方看到的是否为同一份日志
help-audit-verify-what = 导出的文件夹，或移交的编号
help-audit-verify-other = 另一方的
help-audit-export = 写出签名的日志头、条目、证明和删除声明，任何人都可校验
help-audit-export-id = 移交的编号
help-audit-export-folder = 写入的文件夹，不存在则创建

help-verify = 这个文件夹与收到或发送的内容是否仍然一致？
help-verify-folder = 文件夹，或移交的编号（核对当时存放或取出文件的位置）
help-verify-id = 与这次移交核对：用于复制或移动到别处的副本
help-verify-all = 边核对边列出每一处差异，以及改变了的时间

help-record = 写出某次移交的移交记录：一页载明全部已签名的内容
help-record-id = 移交的编号
help-record-out = 写入此文件；同一移交的旧记录会被替换
help-record-annex = 同时把逐项列出的完整清单写入此文件
help-record-verify = 校验任何人提供的移交记录，无需网络
help-record-verify-file = 移交记录：网页文件，或 --json 的输出
help-record-verify-seller = 卖方密钥应有的指纹
help-record-verify-buyer = 买方密钥应有的指纹

help-identity = 查看或设置本机的签名密钥
help-identity-show = 显示名称、指纹和公钥
help-identity-create = 生成新密钥
help-identity-create-name = 您的姓名，对方可以看到
help-identity-create-organisation = 您的单位，对方可以看到
help-identity-import = 使用已有的 OpenSSH Ed25519 密钥
help-identity-import-file = 私钥文件，不带口令
help-identity-import-name = 您的姓名，对方可以看到
help-identity-import-organisation = 您的单位，对方可以看到

help-relay = 管理本机可以使用的中继
help-relay-add = 凭邀请码登记到中继；以后发送时默认使用它
help-relay-add-invite = 中继给出的邀请码（hr1…@主机）；省略或写 - 时从标准输入读取
help-relay-list = 列出中继；第一个为发送时使用的中继
help-relay-remove = 从中继簿中删除一个中继
help-relay-remove-address = 中继的地址

help-demo = 在本机上用虚构的客户资料演示卖方、中继和买方的完整过程
help-demo-size = 虚构资料的大小，例如 64M
help-demo-files = 虚构文件的数量
help-demo-keep = 保留演示用的文件夹

help-completions = 输出命令补全脚本：bash、elvish、fish、powershell 或 zsh
help-completions-shell = shell 的名称

help-help = 显示某个命令的帮助
help-help-command = 命令

help-defaults = 每个选项 --some-thing 也可用环境变量 HANDOVER_SOME_THING，或 config.toml 中的 some-thing 给出。
help-exit-codes = 退出码：0 完成，1 失败，2 用法错误，3 需要回答，4 完成但有例外项，5 网络问题可重试，6 中继拒绝，7 代码错误、过期、已撤销或已使用，8 校验失败，9 本机磁盘，10 没有此移交，11 另一运行正在处理，12 对方拒绝，130 中断但状态已保留。

## 数量

count-files = { $count } 个文件
count-folders = { $count } 个文件夹
count-links = { $count } 个链接
count-hidden = 隐藏文件 { $count } 个
count-executable = 可执行文件 { $count } 个
amount = { $files }，{ $size }
amount-unknown = { $files }，大小未知
span-seconds = { $seconds } 秒
span-minutes = { $minutes } 分 { $seconds } 秒
span-hours = { $hours } 小时 { $minutes } 分
span-days = { $days } 天 { $hours } 小时
moment = { $year }年{ $month }月{ $day }日 { $time }
on-moment = （{ $moment }）
month-1 = 1
month-2 = 2
month-3 = 3
month-4 = 4
month-5 = 5
month-6 = 6
month-7 = 7
month-8 = 8
month-9 = 9
month-10 = 10
month-11 = 11
month-12 = 12

## 行首标签

label-scanning = 扫描
label-left-out = 排除
label-not-sent = 无法发送
label-relay = 中继
label-continuing = 继续
label-from = 来自
label-key = 密钥
label-label = 名称
label-contents = 内容
label-until = 有效期至
label-into = 存放到
label-state = 状态
label-buyer = 买方
label-seller = 卖方
label-source = 来源
label-number = 移交标识
label-root = 根哈希
label-received = 收到时间
label-name = 姓名
label-organisation = 单位
label-public-key = 公钥
label-folder = 文件夹
label-transfer = 移交

## 发送

left-out = 按您的规则排除 { $count } 项
not-sent = { $count } 项无法发送，将在最后列出
relay-keeps = { $relay }，加密数据保存至 { $until } 或收到回执为止
relay-embedded = 由本程序自带，地址 { $relay }，至 { $until } 或收到回执为止
code-lead = 请买方在其电脑上运行：
code-lead-continued = 代码与之前相同。请买方在其电脑上运行：
code-aloud = 口头告知：`handover code { $id } --chinese` 显示 15 个汉字（--words 为 15 个英文单词）
code-on-stdout = 代码    （代码已写到标准输出）
code-spent = 代码已被使用；本次运行将继续向该买方发送。
resumed = { $files }，{ $size } 无需重新发送
read-again = { $name } 在读取时发生变化，正在重新读取（第 { $attempt } 次）
moving = 已恢复
safe = 全部数据已安全保存在中继上，您可以关闭这台电脑。
safe-embedded = 全部数据已加密就绪。收到回执之前，请保持电脑开机、窗口打开。
next-status = 查看买方是否已来取
next-wait = 等待回执
next-receipt = 查看回执
next-record = 整个移交写成一页
next-resume = 继续
next-code = 再次显示代码
next-revoke = 撤销
claimed = 买方（密钥 { $key }）已于 { $when } 使用代码。
claim-refused = 另有他人（连接密钥 { $key }）于 { $when } 试图使用代码，已被拒绝。
collected = { $who }（密钥 { $key }）已于 { $when } 收取并校验：{ $amount }
receipt-kept = 回执 { $short } 已核对并保存。
receipt-kept-deleted = 回执 { $short } 已核对并保存。中继已于 { $when } 删除数据。
deletion-signed = 中继已删除数据，并签名确认。
deletion-logged = { $blocks } 块，{ $size }；密钥份额已先行销毁。其日志已核对：本次移交有 { $entries } 条。
next-audit = 查看中继日志的内容
label-log = 日志
audit-head = 共 { $size } 条，签名于 { $when }
audit-entries = 本次移交的条目
audit-reason = 运营者给出的原因：{ $reason }
audit-deletion = 中继签名确认：{ $blocks } 块，{ $size }，已于 { $when } 删除；密钥份额已于 { $share } 销毁
audit-no-deletion = 中继尚未签名确认删除。
audit-holds = 所有签名和条目均有效。
audit-same = 双方看到的是同一份日志。
audit-note = 密钥属于谁须由您确认：中继的密钥写在邀请码和报价中。写入日志的内容，中继无法收回；从未写入的内容，日志无法显示。
audit-exported = 日志已写入 { $folder }
audit-check-elsewhere = 任何人都可用 OpenSSH 校验日志头：
log-created = 已登记
log-first-block = 首个数据块
log-completed = 全部到达
log-claimed = 代码已使用
log-claim-refused = 代码被拒
log-receipted = 回执
log-deleted = 数据已删除
log-expired = 已过期
log-revoked = 已撤销
log-refused-by-buyer = 买方拒绝协议
log-paper-deposited = 文书已存入
log-taken-down = 已下架
log-fault-proof = 其中的签名或文本无效
log-fault-shorter = 原有 { $held } 条，现在只有 { $seen } 条
log-fault-forked = 存在两份不同的、均有 { $size } 条且均已签名的日志
log-fault-not-extending = { $seen } 条的日志并非以 { $held } 条的日志开头
log-fault-older = 最新的日志头比之前的更早
log-fault-two-heads = 一次回答出自两个日志头
log-fault-not-included = 本次移交的第 { $entry } 条不在日志中
log-fault-order = 本次移交的第 { $entry } 条与前一条不衔接
log-fault-rewritten = 本次移交的第 { $entry } 条与之前不同
log-fault-missing = 缺少本次移交的第 { $entry } 条
log-fault-contradicts = 条目“{ $what }”与中继之前所说不符
log-fault-deletion = 签名的删除声明与日志不符（{ $line } 行）
problem-log-forked = 中继出示了两份不可能同时为真的日志：{ $what }
hint-log-forked = 两份签名的日志头已保存为证据：`handover audit export 编号 文件夹`；请出示给另一方和中继的运营者
problem-log = 中继的日志无效：{ $what }
hint-log = 请勿相信此中继所说；请询问其运营者
problem-no-log = 没有保存中继日志中关于移交 { $id } 的内容
hint-no-log = `handover status { $id }` 会再次询问中继
dry-run-end = 未发送任何内容。

## 进度

stage-scanning = 扫描中
stage-connecting = 连接中
stage-sending = 发送中
stage-finishing = 收尾中
stage-waiting = 等待买方
stage-receiving = 接收中
stage-placing = 写入中
stage-signing = 签署回执
stage-checking = 核对中
eta = 剩余约 { $span }
packed = 压缩 { $factor } 倍
progress-files = { $done }/{ $total } 个文件
stalled-unreachable = 已停顿：无法连接中继，正在重连（第 { $attempt } 次）
stalled-lost = 已停顿：连接中断，正在重连（第 { $attempt } 次）
stalled-busy = 已停顿：中继繁忙，正在重试（第 { $attempt } 次）
stalled-silent = 已停顿：没有数据往来，正在重连（第 { $attempt } 次）
still = 已有 { $span }没有进展
nothing-yet = 准备中
stopping = 正在停止，已完成的部分会保留。再次运行同一命令即可继续。再按一次立即退出。
stopping-id = 正在停止，已完成的部分会保留。继续请运行：handover resume { $id }   再按一次立即退出。

## 接收

offer-sealed = { $who }，{ $when } 封装
key-new = 首次往来：请与卖方核对此指纹
key-known = 自 { $when } 起已知
into = { $path }   （需要 { $needed }，可用 { $free }）
into-unknown = { $path }   （需要 { $needed }）
into-too-small = { $path }   （需要 { $needed }，仅有 { $free } 可用）
into-stdout = 标准输出
offer-incoming = 卖方仍在发送，已到的部分可先接收
pull-continues = 还需接收 { $size }
taken = { $amount }，校验无误。回执 { $short } 已签署并送达。
taken-not-delivered = { $amount }，校验无误。回执 { $short } 已签署，但尚未送达，请运行：handover resume { $id }
taken-unchanged = { $count } 个文件原已存在且内容相同
taken-kept = { $count } 个文件保留了您原有的版本
taken-renamed = { $count } 个文件以其他名称存放
taken-exceptions = { $count } 个例外项未能原样移交

## 例外项

exceptions-head = { $count } 个例外项未能原样移交：
exceptions-more = 另有 { $count } 项
exception-unreadable = 没有读取权限
exception-vanished = 已消失
exception-kept-changing = 每次读取时都在变化
exception-special = 设备、套接字或管道
exception-link-leaves = 链接指向移交范围之外
exception-read-error = 读取失败
exception-name-too-long = 名称过长或层级过深
exception-name-mapped = 本机不允许此名称，已改用其他名称
exception-mode = 未能设置权限
exception-time = 未能设置时间
exception-kept-existing = 保留了您原有的文件

## 提问

ask-code = 代码：
ask-invite = 邀请码：
ask-take = 是否接收？(Y/n)
ask-again = 请输入所示字母之一。
conflicts-head = 有 { $count } 个同名的其他文件：
conflict-sizes = 现有 { $here }，移交 { $new }
ask-conflicts = [s] 跳过  [r] 改名  [o] 覆盖  [f] 中止？

## 移交记录

record-title = 数据移交记录
record-number = 移交标识
record-made = 制作
record-made-by = { $when }，由{ $side }制作
record-times = 时间
record-times-are = 均为 { $zone }，年-月-日
record-running = 数据移交记录 · 移交标识 { $number }
record-running-foot = handover 移交
record-page-before = 第{" "}
record-page-between = {" "}页，共{" "}
record-page-after = {" "}页
record-complete = 已移交并确认
record-complete-means = 买方已收到卖方封装的全部内容，逐一校验无误，并已签收。
record-waiting = 尚未签收
record-waiting-means = 现有各项均核对无误，但还没有买方的回执。
record-revoked = 卖方已撤销
record-revoked-means = 在收到回执之前，卖方撤销了本次移交。
record-expired = 已过期
record-expired-means = 在收到回执之前，本次移交已到期。
record-refused = 买方已拒绝
record-refused-means = 买方未同意协议，数据未曾打开。
record-taken-down = 已被中继运营者撤下
record-taken-down-means = 在收到回执之前，中继的运营者删除了本次移交。
record-failed = 未完成
record-failed-means = 本次移交无法继续，没有回执。
record-faulty = 有内容未通过核对
record-faulty-means = 本记录中至少有一项与应有内容不符，见第 6 节。
record-program = 由 handover { $version } 制作，格式 { $form }。本页为单一文件，不含脚本，不从别处加载任何内容；载有各项名称，不含文件内容，也不含内容的普通哈希值。
record-checksum = 本页所依据的全部数据的校验值（SHA-256）：

record-parties = 移交双方
record-parties-caption = 参与者及其签名密钥
record-role = 角色
record-who = 名称
record-key = 密钥指纹
record-name-signed = 名称随移交说明签名
record-name-told = 名称随回执提供，未签名
record-address-told = 实际使用的地址，未签名
record-keys-note = 密钥可证明以其签名的内容出自同一人之手。此人是谁，请通过其他途径核对：当面、电话或盖章函件。
record-agreement = 协议
record-no-agreement = 本次移交未附协议。
record-agreement-hash = 附有协议，SHA-256 为 { $hash }。
record-agreement-unknown = 没有有效的移交说明，无法判断。
record-scope = 移交范围与移交清册
record-no-scope = 卖方尚未封装数据，没有清册。
record-files = 文件数
record-bytes = 字节数
record-folders = 文件夹数
record-links = 链接数
record-not-sent = 列出但未发送
record-list = 移交清册
record-list-everything = 所移交的全部项目
record-list-entries = 列至第 { $depth } 层；文件夹代表其中的全部内容
record-list-folders = 各文件夹及其中的全部内容
record-list-note = 卖方以封装声明签署本清册，买方以回执确认该封装声明。逐项列出的完整清单，其 SHA-256 为 { $hash }。
record-column-number = 序号
record-column-name = 名称
record-column-kind = 类别
record-column-files = 文件数
record-column-bytes = 字节数
record-column-dates = 最后修改日期
record-column-type = 扩展名
record-column-reason = 原因
record-column-event = 事项
record-column-signed = 签署方时钟
record-column-relay = 中继时钟
record-column-clocks = 两钟比较
record-column-statement = 声明
record-column-by = 签署方
record-column-when = 所载时间
record-column-check = 核对结果
record-line-file = 文件
record-line-folder = 文件夹
record-line-link = 链接
record-line-files = 多个文件
record-line-rest = （不在上述文件夹中的文件）
record-dates = { $first } 至 { $last }
record-total = 合计
record-types = 按扩展名统计
record-type-none = （无）
record-type-other = （其他）
record-exceptions = 例外项
record-no-exceptions = 无：计划移交的内容均已移交。
record-exceptions-caption = 计划移交但未能发送的项目
record-kept-existing = 有 { $count } 个文件买方保留了原有版本，已在回执中载明并签名。
record-outcome = 在买方电脑上
record-outcome-unchanged = 原已存在且内容相同的文件
record-outcome-kept = 按买方选择未替换的文件
record-outcome-renamed = 以其他名称存放
record-outcome-exceptions = 未能在所有细节上原样保留
record-outcome-note = 由买方的程序统计；其中仅“未替换”一项载于回执并已签名。
record-timeline = 经过
record-timeline-caption = 何时发生何事（{ $zone }）
record-timeline-note = 各方时间以各自时钟为准。中继的时间，凡未载于已签名声明者，为中继告知本记录制作方的时间。
record-clock-of = { $side }，已签名
record-relay-signed = 载于声明，已签名
record-relay-told = 中继告知，未签名
record-clocks-agree = 一致
record-clocks-later = 中继晚 { $span }收到
record-clocks-disagree = 不一致：比签署时间早 { $span }
record-event-offer = 发出移交说明
record-event-seal = 数据封装完毕，全部存于中继
record-event-claim = 代码被使用
record-event-receipt = 签署回执
record-event-created = 中继受理本次移交
record-event-first-block = 首批数据到达中继
record-event-completed = 全部数据到达中继
record-event-claimed = 代码被使用
record-event-claim-refused = 他人试图使用代码，已被拒绝
record-event-receipted = 回执到达中继
record-event-deleted = 中继删除数据
record-event-expired = 到期
record-event-revoked = 卖方撤销
record-event-refused = 买方拒绝协议
record-event-paper = 一份密封的声明到达中继
record-event-taken-down = 被中继运营者撤下
record-event-deletion = 中继删除数据
record-event-log-head = 中继签署其日志的状态
record-event-by = 连接密钥
record-statements = 声明及其核对结果
record-statements-caption = 全部已签名声明，于制作本记录时核对
record-kind-offer = 移交说明
record-kind-seal = 封装声明
record-kind-claim = 领取声明
record-kind-receipt = 签收回执
record-kind-deletion = 中继的删除声明
record-kind-log-head = 中继日志的状态声明
record-second = 代码密钥签名：
record-valid = 有效
record-not-valid = 无效：{ $why }
record-absent = 尚无
record-why-malformed = 格式不符
record-why-signature-form = 签名无法读取
record-why-purpose = 签名用途不符
record-why-forged = 签名与文本不符
record-why-signer = 由其他密钥签署
record-why-line = “{ $line }”一行不符
record-why-rests = 所依据的“{ $word }”不成立
record-why-hash = 与已签名的内容不同
record-why-numbers = 数字与已签名的数字不符
record-document-missing = 所指称的文本不在此处
record-findings = 本记录证明什么
record-proven = 由有效签名证明
record-proven-nothing = 无。
record-not-proven = 本记录不能证明
record-mark-proven = 已证明
record-mark-bad = 不成立
record-mark-missing = 缺少
record-mark-open = 未证明
record-proves-offer = 卖方密钥的持有者发出了本次移交的说明，载明卖方名称和中继密钥。
record-proves-seal = 卖方密钥的持有者封装的内容，正是第 3 节所列的文件、文件夹和字节。
record-proves-claim = 买方密钥的持有者使用了一次性代码。
record-proves-receipt = 买方密钥的持有者收到了全部内容，逐字节与封装声明校验无误，并已签收。
record-proves-deletion = 中继声明已销毁其密钥份额并删除密封数据，并已签名。
record-proves-log-head = 中继已签署其日志的状态；与本次移交有关的条目见 `handover audit`。
record-finding-list = 移交清册正是卖方所封装的清册。
record-finding-missing = 没有“{ $kind }”。
record-finding-bad = “{ $kind }”不成立。
record-finding-no-list = 没有移交清册，或者与所封装的清册不同。
record-finding-holders = 密钥由谁持有：请与双方核对指纹。
record-finding-clocks = 时钟是否准确：时间为各方自行载明。
record-finding-contents = 数据的含义、是否真实以及是否可以使用。
record-finding-told = 凡标明“未签名”的内容：仅为本记录制作方的陈述。
record-finding-deletion = 中继处是否已无任何副本：仅有中继的说法。
record-signing = 纸面签章
record-signing-note = 具有证明力的签名见附录。此处供纸质存档时签章使用。
record-signing-seller = 卖方：姓名、日期、盖章
record-signing-buyer = 买方：姓名、日期、盖章
record-appendix = 附录：所签署的内容，逐字节原样
record-appendix-how = 以下内容均可从本文件中取出，用 OpenSSH 和任何 Unix 的常用工具核对，无需 handover。以回执为例：
record-text = 文本，SHA-256 { $id }
record-signature = { $side }的签名
record-second-signature = 代码密钥的签名
record-part-signers = 双方的密钥
record-part-summary = 移交说明的详情
record-part-list = 移交清册
record-part-data = 本页的数据
record-signers-note = 供 ssh-keygen 读取的格式（allowed_signers）
record-summary-note = base64 编码的 CBOR；其 SHA-256 即移交说明中的“summary”一行
record-inventory-note = 其 SHA-256 即封装声明中的“inventory”一行
record-data-note = 本页其余部分由此生成；未签名

record-written = 移交记录已写入 { $path }
record-annex-written = 完整清单已写入 { $path }：共 { $count } 项
record-unaltered = 本记录未被改动：所示内容与其中已签名的部分一致。

## 状态

column-id = 编号
column-role = 角色
column-state = 状态
column-size = 大小
column-who = 对方
column-until = 有效期至
column-label = 名称
role-seller = 卖方
role-buyer = 买方
state-preparing = 准备中
state-sending = 发送中
state-waiting = 等待买方
state-claimed = 买方接收中
state-collected = 已收取
state-claiming = 连接中
state-receiving = 接收中
state-received = 回执待送达
state-delivered = 已接收
state-revoked = 已撤销
state-expired = 已过期
state-refused = 协议被拒绝
state-taken-down = 已被中继下架
state-failed = 失败
transfer-title = 移交 { $id }（{ $role }）
peer-with-key = { $who }（密钥 { $key }）
history-head = 经过
history-created = 开始
history-claimed = 代码被使用
history-receipted = 买方签署回执
history-receipt-signed = 签署回执
history-deleted = 中继删除数据
history-refused = 他人试图使用代码 { $count } 次，均被拒绝
no-transfers = 还没有任何移交。
status-old = { $count } 次移交显示的是上次已知的状态：未能询问其中继。
nothing-to-resume = 没有被中断的移交。
resume-title = 移交 { $id }

## 等待、撤销、代码

wait-buyer = 本机是移交 { $id } 的买方；等待回执的是卖方
hint-wait-buyer = `handover status { $id }` 可查看进展
revoked = 代码已作废，中继已删除数据。
revoked-unclaimed = 没有人使用过代码。
revoked-claimed-nothing = 买方（密钥 { $key }）已于 { $when } 使用代码，但尚未取走任何数据。
revoked-claimed = 买方（密钥 { $key }）已于 { $when } 使用代码，可能已取得 { $percent } % 的数据。
code-buyer = 本机是移交 { $id } 的买方，不保存其代码
code-gone-used = 代码已被使用{ $when }，不能再显示
code-gone = 此移交的代码已无用处，未予保存
code-words-hint = 买方在 `handover pull` 之后输入，中间用空格隔开。
qr-too-wide = 窗口太窄，放不下二维码
hint-qr = 请加宽窗口

## 回执

receipt-valid = 签名有效，回执未经改动。
receipt-valid-note = 密钥属于谁须由您自行确认：请核对买方的指纹。
receipt-exported = 回执已写入 { $folder }
receipt-check-elsewhere = 任何人都可以用 OpenSSH 核对：

## 核对

verify-received = { $id }，收自 { $who }
verify-received-only = { $id }，已收到
verify-sent = { $id }，发送给 { $who }
verify-sent-only = { $id }，已发送
verdict-authenticity = 真实性
verdict-completeness = 完整性
verdict-usability = 可用性
verdict-safety = 安全性
list-comma = {"、"}
authentic-good = 与卖方封装、买方签收的内容一致，根哈希与签名相符
authentic-good-sealed = 与卖方封装的内容一致，根哈希与签名相符
authentic-partly = 现有且可读的内容与卖方封装的一致；内容不全，无法算出签名的根哈希
authentic-no-receipt = 买方尚未签署回执
authentic-seal-bad = 要约与封装声明并非都由卖方签名：这里的内容都不可信
authentic-receipt-bad = 保存的回执未通过核对
authentic-manifest-bad = 本机保存的清单与签名的不符
authentic-changed = { $count } 项与签名的内容不符
authentic-other-kind = { $count } 项的类型与签名的不符
authentic-other-mode = { $count } 项的权限与签名的不符
authentic-added = 多出 { $count } 项并非卖方所发
authentic-beside = 旁边另有 { $count } 项不属于这次移交
complete-good = 所发内容全部都在：{ $all }
complete-missing = 缺少 { $count } 项
complete-left-out = 收取时有 { $count } 项因您保留了原有文件而未放入
complete-listed = 签名的清单中有 { $count } 项注明未发送
usable-good = 每个文件都能打开并读到末尾，共 { $size }
usable-unreadable = { $count } 项无法读取
usable-shortened = { $count } 个文件比原来短
safety-good = 他人无写权限，没有指向外部的链接，没有遗留副本
safety-exposed = { $count } 项可被本机任何用户更改
safety-exposed-as-sent = { $count } 项可被本机任何用户更改（发送时或原先即如此）
safety-privileged = { $count } 个文件会以所有者的权限运行（setuid）
safety-leads-out = { $count } 个链接指向文件夹之外
safety-own-remains = .handover 中留有未完成的数据；清除请运行：handover resume { $id } 或 handover destroy { $id }
safety-other-remains = .handover 中有另一次移交未完成的数据
verify-times = 有 { $count } 项的时间不同（复制文件会如此），不影响结论。
differences-head = 差异
differences-more = ……另有 { $count } 项（--all 全部列出）
difference-missing = 缺失
difference-changed = 已变
difference-shortened = 变短
difference-unreadable = 不可读
difference-added = 多出
difference-other-kind = 类型不同
difference-other-mode = 权限不同
difference-other-time = 时间不同
difference-exposed = 他人可写
difference-privileged = setuid 权限
difference-leads-out = 指向外部
verify-matches-received = 与收到的内容一致。
verify-matches-sent = 与发送的内容一致。
verify-differs-received = 与收到的内容不一致。
verify-differs-sent = 与发送的内容不一致。

## 身份

identity-none = 本机还没有身份
hint-identity-none = 首次发送或接收时会自动生成；也可运行：handover identity create --name 姓名
identity-exists = 本机已有身份，密钥为 { $key }
hint-identity-exists = 已签署的内容以它为凭；如需另一身份，请使用另一个 --home
identity-created = 已生成新密钥。
identity-imported = 已导入密钥。

## 中继

relay-added = 已登记到 { $relay }，以后发送时默认使用它。
relay-removed = 已从中继簿中删除 { $relay }。
relay-unknown = 中继簿中没有 { $relay }
hint-relay-unknown = `handover relay list` 可查看中继簿
no-relays = 还没有中继：发送时将使用自带中继。添加请运行：handover relay add 邀请码
relays-default = * 为发送时使用的中继
invite-wrong = 这不是邀请码，或有输入错误
hint-invite-wrong = 请完整复制中继给出的那一行，以 hr1 开头

## 命令行错误

error = 错误
error-line = { $head }：{ $message }
hint-line = {"  "}{ $hint }
usage-unknown-argument = 无法识别 { $argument }
usage-unknown-command = 没有 { $command } 这个命令
usage-code-without-command = 这像是一个代码，但缺少命令
usage-value = 无法识别 { $argument } 的值 { $value }
usage-value-missing = { $argument } 缺少值
usage-value-count = { $argument } 的值的个数不对
usage-conflict = { $argument } 不能与 { $other } 同时使用
usage-missing = 缺少 { $argument }
usage-missing-command = 缺少命令
usage-not-unicode = 有参数不是有效的文字
usage-other = 无法识别此命令行
usage-stdin-twice = 表示标准输入的 - 写了不止一次
usage-proxy-credentials = 命令行中的用户名和密码会被本机所有用户看到
hint-proxy-credentials = 请把带用户名和密码的代理写入变量 HANDOVER_PROXY 或 HTTPS_PROXY：http://用户名:密码@主机:端口
usage-proxy-quic = QUIC 不能通过代理
hint-proxy-quic = 请去掉 --transport quic，或使用 --proxy none
usage-as = --as 用于给标准输入的内容命名，但没有写 -
hint-as = 例如：pg_dump shop | handover push - --as shop.sql
hint-help = 请参阅：handover help
hint-help-command = 请参阅：handover help { $command }
hint-did-you-mean = 您是否要写 { $near }？
hint-one-of = 可选值：{ $values }
hint-push-path = 您是否要运行：handover push { $path }
hint-code-without-command = 接收请运行 `handover pull`，并在提示时粘贴代码
config-unreadable = { $path } 不是有效的 TOML 文件，第 { $line } 行
config-unknown = config.toml 中的 { $name } 不是选项
config-value = 无法识别 { $name } 的值
hint-config = config.toml 中的选项与命令行同名，例如 relay = "relay.example" 或 no-qr = true

## 问题：代码

problem-code-empty = 没有给出代码
problem-code-not = 这不是代码
problem-code-typo-at = 代码在第 { $position } 个字符附近有输入错误
problem-code-typo = 代码有输入错误
problem-code-word = 代码的第 { $position } 个词不在词表中
problem-code-length = 代码有 { $seen } 个字符或词，应为 { $wanted } 个
problem-code-address = 代码中 @ 之后不是地址
hint-code-again = 请与卖方逐字核对；代码并未因此失效
hint-code-give = 可写作 `handover pull 代码`，或用 --code-file 指定文件，或用环境变量 HANDOVER_CODE
hint-code-form = 代码形如 ho1…@relay.example，或为 15 个词

## 问题：要发送的内容

problem-source-missing = { $path } 不存在
hint-source-missing = 请检查拼写和当前文件夹；含空格的名称请加引号
problem-source-unreadable = 无法读取 { $path }：{ $reason }
hint-source-unreadable = 请取得读取权限，或用 --exclude 排除
problem-same-name = { $first } 与 { $second } 在移交中会重名
hint-same-name = 请将其中一个改名，或分两次移交
problem-nothing-to-send = 没有可发送的内容
hint-nothing-to-send = 请查看规则排除了什么：handover push --dry-run
problem-bad-pattern = { $pattern } 不是有效的规则
hint-bad-pattern = 规则同 gitignore；请加引号，以免被 shell 展开
problem-stdin = 标准输入的内容只出现一次，无法重新读取
hint-stdin = 请加 --new 再次运行该命令，重新开始

## 问题：中继

problem-no-relay = 代码中没有中继地址
hint-no-relay = 请向卖方询问中继地址，并加上 --relay 主机
problem-no-relay-seller = 中继簿中没有此中继
problem-unreachable = 无法连接中继 { $relay }：{ $reason }
hint-unreachable = 请检查网络和地址，以及是否需要代理（--proxy）；再次运行同一命令即可继续
problem-proxy = 代理 { $proxy } 无法通往 { $relay }：{ $reason }
problem-proxy-variable = 变量 { $variable } 的内容不是代理地址
problem-proxy-kind = 变量 { $variable } 所指的代理类型不受支持
proxy-credentials = 它要求用户名和密码，或所给的不对
proxy-status = 它返回了 HTTP 状态 { $status }
proxy-reply = 它返回了 SOCKS 应答 { $reply }
proxy-garbled = 它的应答无法理解
hint-proxy = 请检查代理地址，以及它是否允许连接该主机和端口；--proxy none 表示不用代理
problem-version = 中继 { $relay } 不支持 handover { $own } 的协议
hint-version = 请让双方和中继使用相同版本
problem-relay-key = { $relay } 处应答的不是预期的机器，其密钥不是 { $expected }
problem-relay-key-seen = { $relay } 处应答的不是预期的机器：其密钥为 { $seen }，应为 { $expected }
hint-relay-key = 未发送任何内容；请向中继管理员询问密钥是否已更换，并索取新的邀请码
problem-lost = 与中继 { $relay } 的连接中断：{ $cause }
hint-lost = 请稍后再试；再次运行同一命令即可继续
problem-misbehaved = 中继的应答不合规范：{ $detail }
hint-misbehaved = 请确认中继与本程序版本相同，并告知中继管理员

## 问题：收到的内容与本机

problem-altered = 校验失败，收到的与封装的不一致：{ $detail }
problem-altered-block = 校验失败，第 { $block } 块与封装的不一致：{ $detail }
hint-altered = 未通过校验的内容没有以正式名称保存；请再次运行该命令，若仍失败，请告知卖方
problem-bad-claim = 中继出示的领取声明无效：持有代码的人没有作出过
hint-bad-claim = 它不能让任何人打开数据；请再次运行该命令，若中继仍然如此，请撤销此次移交并改用其他中继
problem-bad-receipt = 回执无效：{ $detail }
hint-bad-receipt = 请勿视为已收取；请询问买方
problem-disk = { $doing }失败：{ $path }：{ $reason }
hint-disk = 请检查权限和磁盘，然后再次运行同一命令，即可继续
hint-disk-full = 请腾出空间，然后再次运行同一命令，即可继续
problem-space = { $path } 空间不足：需要 { $needed }，可用 { $free }
hint-space = 请腾出空间，或用 --out 选择其他文件夹
problem-conflicts = 有 { $count } 个同名的其他文件，第一个是 { $first }
hint-conflicts = 请用 --conflict skip（跳过）、rename（改名）或 overwrite（覆盖）说明如何处理，或用 --out 选择其他文件夹；未覆盖任何文件
problem-not-one-file = 只有单个文件的移交才能写到标准输出
hint-not-one-file = 请用 --out 指定文件夹；代码仍然有效
problem-cannot-take-back = 文件在发送过程中发生变化，已写到标准输出的内容无法收回
hint-cannot-take-back = 请勿使用已写出的内容；请加 --out 文件夹 再次运行该命令
problem-state = 本机状态文件与上次留下的不符：{ $path }：{ $detail }
hint-state = 请从备份恢复，或将其移走后重新开始
problem-journal = 中继持有此移交的 { $relay } 块，而本机只记录了 { $journal } 块
hint-journal = 是否从备份恢复了较旧的状态？请加 --new 重新开始
problem-internal = 发生了不应发生的故障：{ $detail }
hint-internal = 请报告此问题；再次运行同一命令即可继续
problem-stdout = 无法写入标准输出：{ $reason }
hint-stdout = 移交仍在继续；`handover code { $id }` 可再次显示代码
hint-stdout-closed = 请检查标准输出连接到何处

## 问题：运行

problem-no-transfer = 本机没有移交 { $asked }
hint-no-transfer = `handover status` 可列出全部移交
problem-no-receipt = 移交 { $id } 还没有回执
problem-not-ours = { $path } 不属于本机的任何移交
hint-not-ours = 运行 handover status 可列出各次移交；核对副本请运行：handover verify 文件夹 --id 编号
problem-not-whole = 移交 { $id } 在本机尚未完成，没有可供核对的依据
hint-not-whole = 查看进度请运行：handover status { $id }
problem-no-folder = 移交 { $id } 在本机没有文件夹：来自标准输入或写到了标准输出
hint-no-folder = 若已另存，请运行：handover verify 文件夹 --id { $id }
hint-no-receipt = 等待回执请运行：handover wait { $id }
problem-held = 另一个运行中的程序正在处理移交 { $id }
hint-held = 请等它完成或将其停止；`handover status { $id }` 可查看进展
problem-answer = 需要回答，但无人可问
hint-answer = 请用 { $option } 回答
problem-declined = 未领取任何内容，代码仍然有效。
hint-declined = 再次运行同一命令即可接收
problem-ended = 对方终止了此次移交
hint-ended = 请询问对方
problem-interrupted = 已中断，已完成的部分均已保留
hint-interrupted = 再次运行同一命令即可继续
hint-interrupted-id = 继续请运行：handover resume { $id }

## 系统给出的原因

reason-not-found = 找不到
reason-permission = 没有权限
reason-read-only = 文件系统为只读
reason-full = 磁盘已满
reason-quota = 磁盘配额已用尽
reason-too-large = 文件超出此文件系统的上限
reason-exists = 已经存在
reason-not-a-folder = 路径中有一部分不是文件夹
reason-is-a-folder = 它是文件夹
reason-timed-out = 未在规定时间内应答
reason-refused = 连接被拒绝
reason-no-route = 没有到达该处的网络路径
reason-pipe = 另一端已关闭

## 中继的拒绝

refusal-not-found = 中继上没有与此代码对应的移交
hint-not-found = 请与卖方核对代码；该移交也可能早已结束
refusal-not-found-seller = 中继上已没有此次移交
hint-not-found-seller = 请加 --new 重新发送
refusal-used = 代码已被使用{ $when }；每个代码只能使用一次
hint-used = 如果是您本人使用的，请在当时那台电脑上运行 `handover resume`；如果不是，请立即告知卖方
refusal-revoked = 卖方已撤销此次移交{ $when }
refusal-revoked-seller = 此次移交已被撤销{ $when }
refusal-expired = 代码已过期{ $when }
refusal-taken-down = 中继的运营者已下架此次移交{ $when }；其密钥份额已先行销毁
hint-taken-down = `handover audit show` 会显示运营者给出的原因；请联系运营者，或改用其他中继
refusal-expired-seller = 此次移交在收到回执之前已过期{ $when }
refusal-by-buyer = 协议已被拒绝{ $when }；取件码已作废，数据已删除
refusal-by-buyer-seller = 买方拒绝了协议{ $when }；取件码已作废，中继已删除数据
hint-by-buyer-seller = 请与买方沟通；然后换一份协议或不附协议重新发送，会得到新的取件码
refusal-agreement = 此次移交的协议签署之前，中继不会交出任何东西
hint-agreement = 请再次运行同一命令，阅读并签署协议
refusal-receipted = 代码已被使用：此次移交已收取并签署回执{ $when }；每个代码只能使用一次
hint-receipted = 请在接收的那台电脑上用 `handover receipt show` 查看回执
refusal-claim = 中继不接受本机持有代码的证明
hint-claim = 请再次运行同一命令；若仍失败，请确认双方版本相同
hint-ask-seller = 请向卖方索取新的代码
hint-push-again = 请重新发送以取得新的代码
refusal-not-enrolled = 本机未在此中继登记，不能发送
hint-not-enrolled = 请向中继管理员索取邀请码，然后运行：handover relay add 邀请码
refusal-invite = 中继不接受此邀请码
hint-invite = 邀请码已用完、已撤销或属于其他中继；请向中继管理员索取新的邀请码
refusal-quota = 超出中继允许的限额
refusal-quota-size = 超出中继允许的限额（{ $limit }）
refusal-quota-time = 超出中继允许的期限{ $when }
hint-quota = 请分批发送，或用 --expires 缩短时间，或与中继管理员联系
refusal-full = 中继的存储空间已满
refusal-full-room = 中继的存储空间已满，仅可再存 { $room }
hint-full = 请稍后再试，或告知中继管理员；再次运行同一命令即可继续
refusal-clock = 中继不接受此时间：本机或中继的时钟不准
hint-clock = 请校准本机时钟后重试
refusal-not-allowed = 中继不允许本机进行此操作
hint-not-allowed = 请在发起移交的那台电脑上操作
refusal-version = 中继与本程序没有共同的协议版本
refusal-too-large = 有内容超出中继可接受的大小
hint-too-large = 请缩短名称，或与中继管理员联系
refusal-bad-message = 中继无法理解本程序
refusal-superseded = 同一移交的另一次运行已接手
hint-superseded = 没有任何损失；请等待较新的运行完成
refusal-conflict = 中继上已有此移交的其他内容
hint-conflict = 请加 --new 重新开始
refusal-not-complete = 卖方尚未发送完毕
refusal-busy = 中继繁忙
refusal-draining = 中继正在关闭
refusal-internal = 中继自身发生故障

## 演示

demo-title = 本机上的一次移交：卖方、中继、买方是三个通过网络通信的进程
demo-data = 资料：全部虚构，其中人物均不存在
demo-data-more = 含带 BOM 的 Excel 表格、JSON、GB18030、扫描件、链接、隐藏文件和空文件，以及中文、阿拉伯文、表情符号名称
demo-relay = 中继
demo-invite = 中继给出了供卖方使用的邀请码（hr1…），须保密。
demo-seller = 卖方
demo-relay-sees = 中继所见：其磁盘上的全部内容
demo-blind = 在全部内容中查找 { $names }：均未找到
demo-buyer = 买方
demo-stranger = 持同一代码的他人
demo-receipt = 回执
demo-openssh = OpenSSH 核对：签名有效。
demo-no-openssh = 本机没有 ssh-keygen，或版本过旧，无法核对签名。
demo-compare = 比对
demo-same = { $amount }：逐字节一致，名称、时间、权限和链接均相同
demo-emptied = 中继已删除数据，仅余 { $size } 的密钥、账本和日志
demo-unlike = { $path } 两边不一致
demo-timing = 用时
demo-time = { $seconds } 秒，{ $speed }
demo-by-hand = 在三台电脑上亲手操作
demo-name-relay = 中继
demo-name-stranger = 他人
demo-kept = 演示文件保留在 { $folder }
demo-cleaned = 演示文件已清除。
demo-failed = 演示在{ $who }处停止
hint-demo-failed = 请加 --keep 再次运行，并查看留下的文件

## 细节：库所给出的具体原因

detail-a-file-is-longer-than-it-can-be = 文件超过应有的长度
detail-a-file-of-the-transfer-is-missing = 移交的一个状态文件缺失
detail-a-secret-of-the-transfer-is-missing = 移交的密钥缺失
detail-a-statement-is-damaged = 签名文件已损坏
detail-a-statement-is-missing-or-damaged = 签名文件缺失或损坏
detail-a-transfer-has-no-facts = 移交的状态文件缺失
detail-a-transfer-s-facts-are-damaged = 移交的状态文件已损坏
detail-a-transfer-s-file-is-damaged = 移交的状态文件已损坏
detail-a-transfer-s-secrets-are-damaged = 移交的密钥文件已损坏
detail-a-transfer-s-secrets-are-gone = 移交的密钥文件已不存在
detail-answered-another-question = 答非所问
detail-sends-a-paper-that-is-too-long = 给出的文书过长
detail-sends-an-empty-paper = 给出的文书是空的
detail-completed-what-was-not-complete = 把未完成的移交当作已完成
detail-finding-the-destination = 查找目标文件夹
detail-finished-before-the-last-block = 未发完最后一块即结束
detail-finished-without-an-answer = 未作应答即结束
detail-has-a-receipt-and-does-not-show-it = 持有回执却不出示
detail-has-fewer-blocks-than-it-has-served = 持有的块少于已发出的块
detail-has-lost-blocks-that-it-had-acknowledged = 丢失了已确认的块
detail-has-no-address = 没有地址
detail-it-cannot-be-opened = 无法解密
detail-it-is-malformed = 格式不正确
detail-it-is-not-text = 不是文本
detail-it-is-signed-by-another-key = 由其他密钥签名
detail-it-is-signed-by-another-key-than-it-names = 签名密钥与所写的不符
detail-looking-at-what-is-there = 查看现有文件
detail-making-a-folder = 创建文件夹
detail-making-the-destination = 创建目标文件夹
detail-making-the-folder = 创建文件夹
detail-making-the-work-folder = 创建工作文件夹
detail-no-home-folder-is-known = 系统没有给出用户文件夹
detail-nobody-has-claimed = 尚无人领取
detail-opening = 打开
detail-opening-standard-output = 打开标准输出
detail-opening-the-destination = 打开目标文件夹
detail-opening-the-journal = 打开日志
detail-opening-the-list = 打开清单
detail-opening-the-list-of-records = 打开记录清单
detail-opening-the-lock = 打开锁文件
detail-opening-the-state-folder = 打开状态文件夹
detail-presented-no-raw-public-key = 没有出示公钥
detail-reading = 读取
detail-reading-a-list-of-patterns = 读取规则文件
detail-reading-standard-input = 读取标准输入
detail-reading-the-answer = 读取回答
detail-reading-the-code = 读取代码
detail-reading-the-invite = 读取邀请码
detail-reading-the-key = 读取密钥
detail-reading-the-list = 读取清单
detail-reading-the-list-of-records = 读取记录清单
detail-reading-the-plan = 读取发送计划
detail-removing = 删除
detail-removing-the-checkpoint = 删除检查点
detail-running-the-demo = 运行演示
detail-sent-a-malformed-reply = 应答格式不正确
detail-sent-an-impossible-length = 应答长度不合理
detail-shows-another-claim-than-before = 出示的领取声明与先前不同
detail-starting-a-thread = 启动线程
detail-syncing-the-list = 保存清单
detail-syncing-what-was-received = 保存收到的内容
detail-taking-the-lock = 取得锁
detail-the-identity-cannot-be-read = 无法读取身份密钥
problem-bad-record = 移交记录未通过核对：{ $detail }
problem-bad-record-line = 移交记录未通过核对：{ $detail }（首见于第 { $line } 行）
problem-record-form = 该记录的格式为 { $seen }，本版本的 handover 只认识格式 { $own }
hint-bad-record = 请勿采信。请重新索取移交记录，也可向另一方索取。
hint-record-form = 请用制作它的版本核对，或按 RECORD.md 的说明手工核对。
detail-the-seller-s-key-is-not-the-one-you-named = 卖方密钥与您指定的不同
detail-the-buyer-s-key-is-not-the-one-you-named = 买方密钥与您指定的不同
detail-it-is-longer-than-a-record-can-be = 长度超过移交记录的上限
detail-it-is-in-no-language-that-is-known-here = 所用语言无法识别
detail-its-data-cannot-be-read = 其中的数据无法读取
detail-it-does-not-say-what-its-signed-parts-say = 所示内容与其中已签名的部分不一致
detail-it-is-not-a-handover-record = 这不是移交记录
detail-reading-the-record = 读取移交记录
detail-writing-the-record = 写入移交记录
detail-writing-the-full-list = 写入完整清单
detail-the-full-list-is-not-kept-any-more = 完整清单已不再保存
detail-the-full-list-is-not-the-one-that-was-sealed = 完整清单与所封装的不同
detail-the-kept-offer-does-not-check = 保存的移交说明未通过核对
detail-the-kept-inventory-is-damaged = 保存的移交清册已损坏
detail-the-kept-history-is-damaged = 保存的历史记录已损坏
detail-the-kept-receipt-is-damaged = 保存的回执已损坏
detail-the-kept-seal-is-damaged = 保存的封装声明已损坏
detail-the-key-cannot-be-imported = 无法导入此密钥
detail-the-key-that-signed-it-is-not-in-the-list-of-signers = 签名密钥不在签名者名单中
detail-the-key-to-open-it-is-gone = 用于解密的密钥已不存在
detail-the-link-key-is-damaged = 连接密钥已损坏
detail-the-list-of-moves-is-damaged = 移动清单已损坏
detail-the-list-of-records-is-damaged = 记录清单已损坏
detail-the-outcome-is-damaged = 结果文件已损坏
detail-the-plan-of-a-transfer-is-damaged = 移交的发送计划已损坏
detail-the-kept-manifest-is-damaged = 保存的清单已损坏
detail-opening-the-folder = 打开文件夹
detail-writing-the-manifest = 写入清单
detail-reading-the-manifest = 读取清单
detail-the-receipt-is-damaged = 回执已损坏
detail-the-receipt-is-missing = 回执缺失
detail-the-relay-book-cannot-be-read = 无法读取中继簿
detail-the-relay-does-not-show-it = 中继没有出示
detail-the-relay-inside-this-process-does-not-start = 自带中继无法启动
detail-there-is-an-identity-already = 已有身份
detail-what-was-announced-is-missing-or-damaged = 已登记的移交说明缺失或损坏
detail-wiping-the-old-secrets = 抹除旧密钥
detail-writing = 写入
detail-writing-the-code = 写入代码
detail-writing-the-journal = 写入日志
detail-writing-the-list = 写入清单
detail-writing-the-list-of-records = 写入记录清单
detail-writing-the-plan = 写入发送计划
detail-writing-the-receipt = 写入回执
detail-writing-to-standard-output = 写到标准输出
detail-the-kept-log-is-damaged = 保存的日志已损坏
detail-writing-the-log = 写出日志
